package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

// Chain is a backup with the earlier ones that hold segments of it.
type Chain struct {
	*File
	earlier map[string]*File // by id
}

// MissingError says which earlier backups are needed and were not given.
type MissingError struct {
	Backup  string // name of the file that needs them
	Missing []Ancestor
	Counts  []int // how many segments each of them holds
}

func (e *MissingError) Error() string {
	needs := make([]string, len(e.Missing))
	for i, a := range e.Missing {
		needs[i] = fmt.Sprintf("%s (id %s), which holds %d of its segments", a.Name, a.ID, e.Counts[i])
	}
	return fmt.Sprintf("%s is incremental and needs %s", e.Backup, strings.Join(needs, " and "))
}

// OpenChain opens a backup with earlier ones, in any order; those that are not
// needed do no harm. One that is needed and not there is a *MissingError.
func OpenChain(path string, earlier []string) (_ *Chain, err error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	c := &Chain{File: f, earlier: map[string]*File{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	for _, path := range earlier {
		e, err := Open(path)
		if err != nil {
			return nil, err
		}
		if e.ID == f.ID || c.earlier[e.ID] != nil {
			if err := e.Close(); err != nil {
				return nil, err
			}
			continue
		}
		c.earlier[e.ID] = e
	}
	return c, c.complete()
}

// complete checks that each segment is in one of the files.
func (c *Chain) complete() error {
	missing := &MissingError{Backup: c.Name()}
	for _, a := range c.Since {
		count := 0
		for i := range c.Manifest.Segments {
			if c.Manifest.Segments[i].In == a.ID {
				count++
			}
		}
		if count > 0 && c.earlier[a.ID] == nil {
			missing.Missing, missing.Counts = append(missing.Missing, a), append(missing.Counts, count)
		}
	}
	if len(missing.Missing) > 0 {
		return missing
	}
	for i := range c.Manifest.Segments {
		if _, _, err := c.find(i); err != nil {
			return err
		}
	}
	return nil
}

// find returns the file that holds the part of a segment, and its number there.
func (c *Chain) find(i int) (*File, int, error) {
	s := &c.Manifest.Segments[i]
	if s.In == "" {
		return c.File, i, nil
	}
	e := c.earlier[s.In]
	for n := range e.Manifest.Segments {
		if t := &e.Manifest.Segments[n]; t.Part != nil && t.Sealed && t.First == s.First && t.Digest == s.Digest {
			return e, n, nil
		}
	}
	return nil, 0, damaged("%s does not hold segment %d with digest %s, which %s needs", e.path, s.First, s.Digest, c.path)
}

// Close closes all files.
func (c *Chain) Close() error {
	errs := []error{c.File.Close()}
	for _, e := range c.earlier {
		errs = append(errs, e.Close())
	}
	return errors.Join(errs...)
}

// Size is how many bytes Extract writes.
func (c *Chain) Size() int64 {
	n := c.State.Size
	for i := range c.Manifest.Segments {
		if f, at, err := c.find(i); err == nil {
			n += f.Manifest.Segments[at].Part.Size
		}
	}
	return n
}

// Extract writes the state and the journal into an empty directory, as state.db and
// journal/*.seg: each file checked against its digest as it is written, synced, and
// then read again and checked in all that it holds. wrote, if not nil, is told of
// bytes as they are written. An error leaves what was written so far.
func (c *Chain) Extract(ctx context.Context, seam fault.Seam, dir string, wrote func(n int)) error {
	journal := filepath.Join(dir, "journal")
	if err := seam.Do(fault.OpCreate, journal, func() error { return os.MkdirAll(journal, 0o700) }); err != nil {
		return fmt.Errorf("create journal directory: %w", err)
	}
	x := extraction{ctx: ctx, seam: seam, wrote: wrote}
	path := filepath.Join(dir, StatePart)
	if err := x.file(path, c.File, StatePart, &c.State, c.state()); err != nil {
		return err
	}
	if err := x.check(path, c.checkState); err != nil {
		return err
	}
	for i := range c.Manifest.Segments {
		f, n, err := c.find(i)
		if err != nil {
			return err
		}
		s := &c.Manifest.Segments[i]
		// The name is made from a number: nothing in the file leads elsewhere.
		path := filepath.Join(journal, filepath.Base(SegmentName(s)))
		if err := x.file(path, f, SegmentName(s), f.Manifest.Segments[n].Part, f.segment(n)); err != nil {
			return err
		}
		if err := x.check(path, s.Check); err != nil {
			return err
		}
	}
	if err := store.SyncDir(seam, journal); err != nil {
		return err
	}
	return store.SyncDir(seam, dir)
}

type extraction struct {
	ctx   context.Context
	seam  fault.Seam
	wrote func(n int)
}

// file writes one part to a path, where there must be nothing.
func (x *extraction) file(path string, from *File, name string, part *Part, r io.Reader) error {
	var file *os.File
	err := x.seam.Do(fault.OpCreate, path, func() (err error) {
		file, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		return err
	})
	if err != nil {
		if file != nil {
			err = errors.Join(err, file.Close())
		}
		return fmt.Errorf("extract %s: %w", name, err)
	}
	digest := sha256.New()
	err = x.seam.Do(fault.OpWrite, path, func() error { return x.copy(io.MultiWriter(file, digest), r) })
	if err == nil {
		err = x.seam.Do(fault.OpSync, path, file.Sync)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("extract %s: %w", name, err)
	}
	if got := hex.EncodeToString(digest.Sum(nil)); got != part.SHA256 {
		return damaged("%s in %s: SHA-256 is %s, not %s", name, from.path, got, part.SHA256)
	}
	return nil
}

func (x *extraction) copy(w io.Writer, r io.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, readerFunc(func(p []byte) (int, error) {
		if err := x.ctx.Err(); err != nil {
			return 0, err
		}
		n, err := r.Read(p)
		if x.wrote != nil {
			x.wrote(n)
		}
		return n, err
	}), make([]byte, 256<<10))
	return err
}

// check reads an extracted file with one of the checks of Verify.
func (x *extraction) check(path string, check func(context.Context, SizedReaderAt) error) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("check extracted file: %w", err)
	}
	info, err := file.Stat()
	if err == nil {
		err = check(x.ctx, io.NewSectionReader(file, 0, info.Size()))
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("check extracted file: %w", err)
	}
	return nil
}
