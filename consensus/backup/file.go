package backup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/edri-io/edri/store"
)

// File is a backup that is open for reading.
type File struct {
	Manifest
	path string
	file *os.File // nil: closed elsewhere
	r    io.ReaderAt
	size int64
	// at is where each segment's part begins; the state's is behind the magic.
	at []int64
}

// Open opens the backup at path. What is no backup, or was cut off, is
// ErrNotBackup, one of a newer version store.ErrFormat, a damaged manifest
// store.ErrCorrupt. What the parts hold is not looked at: see Verify.
func Open(path string) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open backup: %w", err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrNotBackup
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open backup %s: %w", path, err), file.Close())
	}
	f, err := parse(file, info.Size())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open backup %s: %w", path, err), file.Close())
	}
	f.path, f.file = path, file
	return f, nil
}

// Path is where the file was opened.
func (f *File) Path() string { return f.path }

// Name is the file's name without its folder.
func (f *File) Name() string { return filepath.Base(f.path) }

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// parse reads the ends of a backup of size bytes.
func parse(r io.ReaderAt, size int64) (*File, error) {
	var head [len(magic)]byte
	var tail [tailBytes]byte
	if size < int64(len(head)+len(tail)) {
		return nil, fmt.Errorf("%w: %d bytes", ErrNotBackup, size)
	}
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if _, err := r.ReadAt(tail[:], size-tailBytes); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if err := checkMagic(string(head[:]), magic, "begins"); err != nil {
		return nil, err
	}
	if err := checkMagic(string(tail[tailBytes-len(trailer):]), trailer, "ends"); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint64(tail[:])
	if n > maxManifest || int64(n) > size-tailBytes-int64(len(magic)) {
		return nil, damaged("manifest of %d bytes in a file of %d", n, size)
	}
	start := size - tailBytes - int64(n)
	m, err := parseManifest(io.NewSectionReader(r, start, int64(n)))
	if err != nil {
		return nil, err
	}
	f := &File{Manifest: *m, r: r, size: size}
	return f, f.locate(start)
}

func checkMagic(got, want, verb string) error {
	last := len(want) - 1
	switch {
	case got[:last] != want[:last]:
		return fmt.Errorf("%w: it %s with %q", ErrNotBackup, verb, got)
	case got[last] != want[last]:
		return fmt.Errorf("%w: it is of version %d, this program knows %d", store.ErrFormat, got[last], want[last])
	}
	return nil
}

// locate finds where the parts are: they fill the file up to the manifest.
func (f *File) locate(manifest int64) error {
	at := int64(len(magic))
	next := func(p *Part) error {
		if p.Size > manifest-at {
			return damaged("manifest: parts end behind offset %d", manifest)
		}
		at += p.Size
		return nil
	}
	if err := next(&f.State); err != nil {
		return err
	}
	f.at = make([]int64, len(f.Segments))
	for i := range f.Segments {
		f.at[i] = at
		if p := f.Segments[i].Part; p != nil {
			if err := next(p); err != nil {
				return err
			}
		}
	}
	if at != manifest {
		return damaged("manifest: parts end at offset %d, not %d", at, manifest)
	}
	return nil
}

// state reads the state's part.
func (f *File) state() *io.SectionReader {
	return io.NewSectionReader(f.r, int64(len(magic)), f.State.Size)
}

// segment reads the part of a segment that is in this file.
func (f *File) segment(i int) *io.SectionReader {
	return io.NewSectionReader(f.r, f.at[i], f.Segments[i].Part.Size)
}

// Size is how many bytes the file has.
func (f *File) Size() int64 { return f.size }
