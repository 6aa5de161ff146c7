package store

import (
	"fmt"
	"log/slog"
	"math/bits"
	"runtime"
	"slices"
	"strings"

	"github.com/edri-io/edri/internal/fault"
)

// Config says what Open opens. The zero value is a database without tables.
type Config struct {
	// Tables are the names of all tables, at most 64. Those that the file
	// lacks are created. Names are 1 to 64 of [a-z0-9_-].
	Tables []string

	// AppendOrdered names those of Tables whose new keys are nearly always
	// greater than all keys before. Their pages are filled completely instead
	// of half. If that is wrong, each insertion in the middle splits a page.
	AppendOrdered []string

	// InitialMmap is how many bytes of address space the file is mapped to,
	// and so how large it can grow until the next Open, which maps at least
	// twice the file. It costs no memory. Default 64 GiB on 64-bit Linux, 8 GiB
	// on other 64-bit systems, 256 MiB on 32-bit ones.
	InitialMmap int64

	// Seam lets tests fail file operations. Nil in production.
	Seam fault.Seam

	// Logger gets a warning when a flush takes longer than a second. Default:
	// nowhere.
	Logger *slog.Logger
}

const (
	maxTables    = 64
	maxTableName = 64
)

// normalise fills in defaults and refuses what cannot work.
func (c Config) normalise() (Config, error) {
	if len(c.Tables) > maxTables {
		return c, fmt.Errorf("%d tables, at most %d", len(c.Tables), maxTables)
	}
	for i, name := range c.Tables {
		legal := func(r rune) bool { return strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789_-", r) }
		if name == "" || len(name) > maxTableName || strings.Trim(name, "_-") == "" ||
			strings.ContainsFunc(name, func(r rune) bool { return !legal(r) }) {
			return c, fmt.Errorf("illegal table name %q", name)
		}
		if slices.Contains(c.Tables[:i], name) {
			return c, fmt.Errorf("table %q is named twice", name)
		}
	}
	for _, name := range c.AppendOrdered {
		if !slices.Contains(c.Tables, name) {
			return c, fmt.Errorf("append-ordered table %q is not one of the tables", name)
		}
	}
	if c.InitialMmap == 0 {
		c.InitialMmap = defaultMmap(runtime.GOOS, bits.UintSize)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func defaultMmap(goos string, wordBits int) int64 {
	switch {
	case wordBits < 64:
		return 256 << 20
	case goos == "linux":
		return 64 << 30
	}
	return 8 << 30
}

// mapSize is the size of the map for a file of fileSize bytes, rounded as
// bbolt does: a power of two up to 1 GiB, whole GiB above.
func mapSize(initial, fileSize int64) int64 {
	const gib = 1 << 30
	size := max(initial, 2*fileSize, 1<<15)
	if size > gib {
		return (size + gib - 1) / gib * gib
	}
	return 1 << bits.Len64(uint64(size-1))
}
