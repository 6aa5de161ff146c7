package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/edri-io/edri/log"
	"github.com/edri-io/edri/store"
)

// Names of what is not a segment, in Damage.
const (
	StatePart = "state.db"
	WholeFile = "file"
)

// Damage is a part that is not what was written, or was damaged when it was
// backed up.
type Damage struct {
	Part string
	Err  error
}

// SegmentName is what a segment's part is called in Damage.
func SegmentName(s *Segment) string { return fmt.Sprintf("journal/%020d.seg", uint64(s.First)) }

// Verify reads the whole file and returns what is damaged, nil where nothing is.
// read, if not nil, is told of bytes as they are read: each twice, for the digests
// and for the rows. An error is one of reading, or ctx's.
func (f *File) Verify(ctx context.Context, read func(n int)) ([]Damage, error) {
	v := verifier{f: f, ctx: ctx, read: read, whole: sha256.New()}
	if err := v.digests(); err != nil {
		return nil, fmt.Errorf("verify %s: %w", f.path, err)
	}
	check := func(name string, err error) error {
		switch {
		case err == nil:
		case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrFormat):
			v.damage = append(v.damage, Damage{name, err})
		default:
			return fmt.Errorf("verify %s: %w", f.path, err)
		}
		return nil
	}
	if err := check(StatePart, f.checkState(ctx, v.counted(f.state()))); err != nil {
		return nil, err
	}
	for i := range f.Segments {
		s := &f.Segments[i]
		if s.Part == nil {
			continue
		}
		if err := check(SegmentName(s), s.Check(ctx, v.counted(f.segment(i)))); err != nil {
			return nil, err
		}
	}
	return v.damage, nil
}

type verifier struct {
	f      *File
	ctx    context.Context
	read   func(n int)
	whole  hash.Hash
	damage []Damage
}

// digests holds the file and each part to their SHA-256.
func (v *verifier) digests() error {
	f := v.f
	v.whole.Write([]byte(magic))
	if err := v.part(StatePart, &f.State, f.state()); err != nil {
		return err
	}
	end := int64(len(magic)) + f.State.Size
	for i := range f.Segments {
		if p := f.Segments[i].Part; p != nil {
			if err := v.part(SegmentName(&f.Segments[i]), p, f.segment(i)); err != nil {
				return err
			}
			end = f.at[i] + p.Size
		}
	}
	const sumAndTrailer = sha256.Size + int64(len(trailer))
	if err := v.copy(v.whole, io.NewSectionReader(f.r, end, f.size-sumAndTrailer-end)); err != nil {
		return err
	}
	var want [sha256.Size]byte
	if _, err := f.r.ReadAt(want[:], f.size-sumAndTrailer); err != nil {
		return err
	}
	if got := v.whole.Sum(nil); [sha256.Size]byte(got) != want {
		v.damage = append(v.damage, Damage{WholeFile, damaged("SHA-256 is %x, not %x", got, want)})
	}
	return nil
}

func (v *verifier) part(name string, p *Part, r io.Reader) error {
	digest := sha256.New()
	if err := v.copy(io.MultiWriter(v.whole, digest), r); err != nil {
		return err
	}
	if got := hex.EncodeToString(digest.Sum(nil)); got != p.SHA256 {
		v.damage = append(v.damage, Damage{name, damaged("SHA-256 is %s, not %s", got, p.SHA256)})
	}
	return nil
}

func (v *verifier) copy(w io.Writer, r io.Reader) error {
	_, err := io.CopyBuffer(w, readerFunc(func(p []byte) (int, error) {
		if err := v.ctx.Err(); err != nil {
			return 0, err
		}
		n, err := r.Read(p)
		if v.read != nil {
			v.read(n)
		}
		return n, err
	}), make([]byte, 256<<10))
	return err
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// counted tells read of what is read of a section.
func (v *verifier) counted(s *io.SectionReader) *section {
	return &section{ReaderAt: s, size: s.Size(), read: v.read}
}

// section is the bytes of a part.
type section struct {
	io.ReaderAt
	size int64
	read func(n int)
}

func (s *section) ReadAt(p []byte, at int64) (int, error) {
	n, err := s.ReaderAt.ReadAt(p, at)
	if s.read != nil {
		s.read(n)
	}
	return n, err
}

func (s *section) Size() int64 { return s.size }

// SizedReaderAt is the content of a file.
type SizedReaderAt interface {
	io.ReaderAt
	Size() int64
}

func (f *File) checkState(ctx context.Context, r SizedReaderAt) error {
	return store.CheckStateIn(ctx, r, r.Size(), StatePart, func(string, []byte, []byte) error { return nil })
}

// Check holds the file of a segment to what the manifest says of it.
func (s *Segment) Check(ctx context.Context, r SizedReaderAt) error {
	info, err := log.CheckSegment(ctx, r, r.Size(), SegmentName(s))
	if err != nil {
		return err
	}
	switch {
	case info.First != s.First, info.Last < s.Last, s.Sealed && (!info.Sealed || info.Last != s.Last),
		s.Sealed && hex.EncodeToString(info.Digest[:]) != s.Digest:
		return damaged("%s holds positions %d to %d (sealed %v, digest %x), the manifest says %d to %d (%v, %s)",
			SegmentName(s), info.First, info.Last, info.Sealed, info.Digest, s.First, s.Last, s.Sealed, s.Digest)
	}
	return nil
}
