package log

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/edri-io/edri/event"
)

// SealedFile is the file of a sealed segment, to be copied elsewhere. It stays
// readable when the journal deletes the segment meanwhile, and holds nothing up.
type SealedFile struct {
	io.Reader
	size int64
	file *os.File
}

// Size is how many bytes Read gives.
func (f *SealedFile) Size() int64 { return f.size }

// Close closes the file.
func (f *SealedFile) Close() error { return f.file.Close() }

// OpenSealed opens the file of the sealed segment that begins at first and has
// this digest. There is none, or no longer: event.CodeNotFound. The bytes come as
// they stand on disk; who copies them checks the copy with CheckSealed.
func (j *Journal) OpenSealed(first event.Position, digest [32]byte) (*SealedFile, error) {
	s := j.sealed(first)
	if s == nil || s.header.digest != digest {
		return nil, errNoSealed(first)
	}
	return openSealed(s.segment)
}

func openSealed(s *segment) (*SealedFile, error) {
	tx, err := s.begin() // for the size: bbolt makes files longer than what is in them
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errNoSealed(s.first)
		}
		return nil, err
	}
	size := tx.Size()
	s.end(tx)
	file, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoSealed(s.first)
	}
	if err != nil {
		return nil, fmt.Errorf("open sealed segment: %w", err)
	}
	return &SealedFile{io.LimitReader(file, size), size, file}, nil
}

func errNoSealed(first event.Position) error {
	return event.Errorf(event.CodeNotFound, "no sealed segment of this digest begins at position %d", first)
}

// CheckSealed checks, as CheckSegment does, the file at a path, which must hold the
// sealed segment that begins at first and has this digest.
func CheckSealed(ctx context.Context, path string, first event.Position, want [32]byte) (SegmentInfo, error) {
	info, err := CheckSegmentFile(ctx, path)
	if err == nil && (info.First != first || !info.Sealed || info.Digest != want) {
		err = corrupt(path, string(bucketHeader), keyHeader, fmt.Sprintf("segment from %d, sealed %t, digest %x; want %d, sealed, %x",
			info.First, info.Sealed, info.Digest, first, want))
	}
	if err != nil {
		return SegmentInfo{}, err
	}
	return info, nil
}

// CheckSegmentFile checks the file at a path as CheckSegment does.
func CheckSegmentFile(ctx context.Context, path string) (_ SegmentInfo, err error) {
	f, err := os.Open(path)
	if err != nil {
		return SegmentInfo{}, fmt.Errorf("check segment: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	stat, err := f.Stat()
	if err != nil {
		return SegmentInfo{}, fmt.Errorf("check segment: %w", err)
	}
	return CheckSegment(ctx, f, stat.Size(), path)
}

func infoOf(h *header) SegmentInfo {
	info := SegmentInfo{First: h.first, Last: h.last, Sealed: h.sealed, Bytes: h.bytes}
	if h.sealed {
		info.Digest = h.digest
	}
	return info
}

var _ io.ReadCloser = (*SealedFile)(nil)
