package compat

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"maps"

	"go.etcd.io/bbolt"
)

// maxDeleted bounds how many chunks one write deletes: a clock that is far ahead for a moment costs no more.
const maxDeleted = 512

// write writes chunks and what is known of their GPUs, and deletes chunks that began before a time, all or nothing.
func (d *database) write(u unstored, before int64) error {
	w := writing{database: d, changed: map[string]numbered{}}
	err := d.transact(true, func(tx *bbolt.Tx) error {
		w.bucket = tx.Bucket(gpuBucket)
		chunks := tx.Bucket(chunkBucket)
		chunks.FillPercent = 1 // new keys come last: no page needs room for more
		for gpu, list := range u.chunks {
			number, err := w.number(gpu)
			if err != nil {
				return err
			}
			for _, h := range list {
				p := placeOf(h.key, number)
				if err := chunks.Put(p[:], h.marshal(p[:])); err != nil {
					return err
				}
			}
		}
		for _, a := range u.about {
			if err := w.describe(a); err != nil {
				return err
			}
		}
		return deleteBefore(chunks, before)
	})
	if err == nil {
		maps.Copy(d.gpus, w.changed)
	}
	return err
}

// writing is a write that is going on.
type writing struct {
	*database
	bucket  *bbolt.Bucket
	changed map[string]numbered // not yet in database, since it may be undone
}

func (w *writing) find(gpu string) (numbered, bool) {
	if g, ok := w.changed[gpu]; ok {
		return g, true
	}
	g, ok := w.gpus[gpu]
	return g, ok
}

// number returns the number of a GPU, a new one where it has none.
func (w *writing) number(gpu string) (uint32, error) {
	if g, ok := w.find(gpu); ok {
		return g.number, nil
	}
	n, err := w.bucket.NextSequence()
	if err != nil {
		return 0, err
	}
	return uint32(n), w.put(numbered{known{GPU: gpu}, uint32(n)})
}

// describe writes what is known of a GPU that has chunks, where it has changed.
func (w *writing) describe(a about) error {
	is := known{a.info.GPU, a.index, a.info.UUID, a.info.Name, a.info.DriverVersion, a.info.Source}
	if g, ok := w.find(is.GPU); ok && g.known != is {
		return w.put(numbered{is, g.number})
	}
	return nil
}

func (w *writing) put(g numbered) error {
	text, err := json.Marshal(g.known)
	if err != nil {
		return err
	}
	w.changed[g.GPU] = g
	return w.bucket.Put(binary.BigEndian.AppendUint32(nil, g.number), text)
}

func deleteBefore(chunks *bbolt.Bucket, before int64) error {
	end := placeOf(key{start: before}, 0)
	var old []place
	c := chunks.Cursor()
	for k, _ := c.First(); len(k) == len(place{}) && bytes.Compare(k, end[:]) < 0 && len(old) < maxDeleted; k, _ = c.Next() {
		old = append(old, place(k))
	}
	for i := range old {
		if err := chunks.Delete(old[i][:]); err != nil {
			return err
		}
	}
	return nil
}
