package windows

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"golang.org/x/sys/windows/registry"
)

// The places of section 6.2, below HKEY_LOCAL_MACHINE.
const (
	classPath   = `SYSTEM\CurrentControlSet\Control\Class\` + DisplayClass
	enumPath    = `SYSTEM\CurrentControlSet\Enum`
	directXPath = `SOFTWARE\Microsoft\DirectX`
)

// What is read at most: of keys below one key, and of one value.
const (
	maxKeys  = 4096
	maxValue = 4096
)

// readRegistry reads the three places. One that cannot be read costs what it would tell, unless it is all three.
func readRegistry(log *slog.Logger) (Registry, error) {
	var r Registry
	var failed []error
	places := [...]struct {
		path string
		read func(path string) error
	}{
		{classPath, func(path string) (err error) { r.Class, err = keysBelow(path, ClassValues); return err }},
		{enumPath + `\PCI`, func(path string) (err error) { r.Enum, err = displays(path); return err }},
		{directXPath, func(path string) (err error) { r.DirectX, err = keysBelow(path, DirectXValues); return err }},
	}
	for _, p := range places {
		if err := p.read(p.path); err != nil {
			log.Debug("a key of the registry cannot be read", "err", err)
			failed = append(failed, err)
		}
	}
	if len(failed) == len(places) {
		return Registry{}, errors.Join(failed...)
	}
	return r, nil
}

// displays are the keys below PCI\*\* that lead to the class of displays.
func displays(path string) (list []RegistryKey, err error) {
	models, err := names(path)
	if err != nil {
		return nil, err
	}
	for _, model := range models {
		devices, err := keysBelow(path+`\`+model, EnumValues)
		if err != nil {
			continue // it left just now, or is for others to read
		}
		for _, d := range devices {
			if d.class() != "" {
				d.Name = `PCI\` + model + `\` + d.Name
				list = append(list, d)
			}
		}
	}
	return list, nil
}

// keysBelow reads values of all keys below a key. Those that cannot be read are left out.
func keysBelow(path string, values []string) (list []RegistryKey, err error) {
	below, err := names(path)
	if err != nil {
		return nil, err
	}
	for _, name := range below {
		if k, err := openKey(path+`\`+name, registry.QUERY_VALUE); err == nil {
			list = append(list, RegistryKey{name, valuesOf(k, values)})
			k.Close()
		}
	}
	return list, nil
}

// names are those of the keys below a key, none where it is not there.
func names(path string) ([]string, error) {
	k, err := openKey(path, registry.ENUMERATE_SUB_KEYS)
	if errors.Is(err, registry.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer k.Close()
	list, err := k.ReadSubKeyNames(-1)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list[:min(len(list), maxKeys)], nil
}

func openKey(path string, access uint32) (registry.Key, error) {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, path, access)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// valuesOf are the values of a key that are there.
func valuesOf(k registry.Key, wanted []string) map[string]RegistryValue {
	values := map[string]RegistryValue{}
	for _, name := range wanted {
		buffer := make([]byte, maxValue)
		n, kind, err := k.GetValue(name, buffer)
		if err == nil {
			values[strings.ToLower(name)] = RegistryValue{kind, buffer[:n:n]}
		}
	}
	return values
}
