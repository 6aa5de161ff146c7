package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

const (
	magic   = "edribak\x01"
	trailer = "edriend\x01"
	// tailBytes is what follows the manifest.
	tailBytes = 8 + sha256.Size + 8
)

// Writer writes a backup: the state first, the segments in order, then Close.
type Writer struct {
	w        io.Writer
	whole    hash.Hash
	manifest Manifest
	state    bool
	err      error
}

// NewWriter begins a backup. The head's State and Segments are the writer's to
// fill in.
func NewWriter(w io.Writer, head Head) (*Writer, error) {
	b := &Writer{w: w, whole: sha256.New(), manifest: Manifest{Head: head}}
	return b, b.write([]byte(magic))
}

func (b *Writer) write(p []byte) error {
	if b.err != nil {
		return b.err
	}
	b.whole.Write(p)
	if _, err := b.w.Write(p); err != nil {
		b.err = fmt.Errorf("write backup: %w", err)
	}
	return b.err
}

// Write implements io.Writer for part.
func (b *Writer) Write(p []byte) (int, error) {
	if err := b.write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// State adds the state file.
func (b *Writer) State(r io.Reader) error {
	part, err := b.part(r)
	if err != nil {
		return fmt.Errorf("add state: %w", err)
	}
	b.manifest.State, b.state = *part, true
	return nil
}

// Segment adds a segment, whose file is r; nil if the segment says that an earlier
// backup holds it.
func (b *Writer) Segment(s Segment, r io.Reader) error {
	if r != nil {
		part, err := b.part(r)
		if err != nil {
			return fmt.Errorf("add segment %d: %w", s.First, err)
		}
		s.Part = part
	}
	b.manifest.Segments = append(b.manifest.Segments, s)
	return nil
}

func (b *Writer) part(r io.Reader) (*Part, error) {
	digest := sha256.New()
	n, err := io.Copy(io.MultiWriter(b, digest), r)
	if err != nil {
		return nil, err
	}
	return &Part{Size: n, SHA256: hex.EncodeToString(digest.Sum(nil))}, nil
}

// Close writes the manifest, without which the file is not a backup. It refuses
// one that Open would.
func (b *Writer) Close() error {
	if b.err != nil {
		return b.err
	}
	if !b.state {
		return errors.New("write backup: it has no state")
	}
	b.manifest.Head.Segments = len(b.manifest.Segments)
	text, err := b.manifest.encode()
	if err != nil {
		return err
	}
	if _, err := parseManifest(bytes.NewReader(text)); err != nil || len(text) > maxManifest {
		return fmt.Errorf("write backup: manifest of %d bytes: %w", len(text), err)
	}
	if err := b.write(text); err != nil {
		return err
	}
	if err := b.write(binary.BigEndian.AppendUint64(nil, uint64(len(text)))); err != nil {
		return err
	}
	sum := b.whole.Sum(nil)
	return b.write(append(sum, trailer...))
}
