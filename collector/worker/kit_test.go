package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// role says what this test binary is when it is started as another process.
const role = "WORKER_TEST_ROLE"

// What a child of the tests is asked for, by the type of the request.
const (
	ask = iota + 'a'
	askHang
	askExit
	askCrash
	askGarbage
	askTooLong
	askNoise
	askPID
)

// What it answers.
const (
	hello = iota + 'A'
	echo
)

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "child":
		serveTests("well")
	case "old":
		serveTests("old")
	case "pool":
		fmt.Fprintln(os.Stderr, Serve(poolHello, &shelf{}))
		os.Exit(9)
	case "hang":
		time.Sleep(time.Hour)
	case "parent":
		bePatron()
	default:
		os.Exit(m.Run())
	}
}

// serveTests is the life of a child.
func serveTests(word string) {
	p, err := Attach()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(9)
	}
	say := func(f Frame) {
		if err := p.Send(f); err != nil {
			os.Exit(8)
		}
	}
	say(Frame{hello, []byte(word)})
	for f := range p.Requests() {
		switch f.Type {
		case ask:
			say(Frame{echo, f.Content})
		case askHang:
			for { // a library that spins, in a thread of its own
				runtime.Gosched()
				time.Sleep(time.Millisecond)
			}
		case askExit:
			os.Exit(3)
		case askCrash:
			if p, err := os.FindProcess(os.Getpid()); err == nil {
				_ = p.Kill()
			}
		case askGarbage:
			_, _ = p.out.Write([]byte{0, 0, 0, 0, 0})
		case askTooLong:
			_, _ = p.out.Write([]byte{0xff, 0xff, 0xff, 0x7f, 0})
		case askNoise:
			fmt.Println(strings.Repeat("noise on standard output\n", 10000))
			say(Frame{echo, f.Content})
		case askPID:
			say(Frame{echo, []byte(strconv.Itoa(os.Getpid()))})
		}
	}
}

// bePatron is a main program that starts a child, tells its number, has it hang and waits to be killed.
func bePatron() {
	s := New(Options{Name: "test", Ways: []Way{self("child")}, Env: env("child"), Hello: wellHello})
	pid, err := request(context.Background(), s, Frame{Type: askPID})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(pid)
	_, err = request(context.Background(), s, Frame{Type: askHang})
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func self(name string) Way {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return Way{Name: name, Path: path}
}

func env(as string) []string {
	return []string{role + "=" + as, "SYSTEMROOT=" + os.Getenv("SYSTEMROOT")} // without which nothing runs on Windows
}

var errOld = errors.New("an old one")

func wellHello(f Frame) error {
	if f.Type != hello || string(f.Content) != "well" {
		return errOld
	}
	return nil
}

// request sends one frame and returns the text of the answer.
func request(ctx context.Context, s *Supervisor, f Frame) (text string, err error) {
	err = s.Exchange(ctx, []Frame{f}, func(f Frame) (bool, error) {
		text = string(f.Content)
		return true, nil
	})
	return text, err
}

// reasons counts what a Supervisor tells.
type reasons struct {
	mu sync.Mutex
	n  map[Reason]int
}

func (r *reasons) add(reason Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n == nil {
		r.n = map[Reason]int{}
	}
	r.n[reason]++
}

func (r *reasons) of(reason Reason) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n[reason]
}
