package consensus

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

// snapshotReceiver writes a snapshot stream into a generation's directory as it
// arrives. Every file is checked against its digest and synced. The sealed segments
// are not in the stream. Errors of this node's disk match store.ErrIO, of the stream
// errSnapshotStream.
type snapshotReceiver struct {
	dir      string
	seam     fault.Seam
	head     []byte // until the manifest is whole
	manifest *manifest
	next     int // index of the file that is being written
	file     *stagedFile
	digest   hash.Hash
	left     int64 // of file
}

// Write implements io.Writer.
func (r *snapshotReceiver) Write(p []byte) (int, error) {
	total := len(p)
	if r.manifest == nil {
		r.head = append(r.head, p...)
		m, n, err := parseManifest(r.head)
		if err != nil || n == 0 {
			return total, err
		}
		r.manifest, p, r.head = &m, r.head[n:], nil
		if err := os.MkdirAll(filepath.Join(r.dir, journalDir), 0o700); err != nil {
			return 0, fmt.Errorf("create journal directory: %w: %w", store.ErrIO, err)
		}
		if err := r.openNext(); err != nil {
			return 0, err
		}
	}
	for len(p) > 0 {
		if r.file == nil {
			return 0, fmt.Errorf("%w: %d bytes after the last file", errSnapshotStream, len(p))
		}
		n := min(int64(len(p)), r.left)
		if _, err := r.file.Write(p[:n]); err != nil {
			return 0, err
		}
		r.digest.Write(p[:n])
		r.left -= n
		p = p[n:]
		if r.left == 0 {
			if err := r.closeFile(); err != nil {
				return 0, err
			}
			if err := r.openNext(); err != nil {
				return 0, err
			}
		}
	}
	return total, nil
}

// openNext opens the next file of the manifest that has bytes.
func (r *snapshotReceiver) openNext() error {
	for r.next < len(r.manifest.Files) {
		f := r.manifest.Files[r.next]
		file, err := createStaged(r.seam, filepath.Join(r.dir, filepath.FromSlash(f.Name)))
		if err != nil {
			return err
		}
		r.file, r.left, r.digest = file, f.Size, sha256.New()
		if r.left > 0 {
			return nil
		}
		if err := r.closeFile(); err != nil {
			return err
		}
	}
	return nil
}

func (r *snapshotReceiver) closeFile() error {
	f, file := r.manifest.Files[r.next], r.file
	r.file = nil
	r.next++
	if got := hex.EncodeToString(r.digest.Sum(nil)); got != f.SHA256 {
		return errors.Join(fmt.Errorf("%w: %s has digest %s, not %s", errSnapshotStream, f.Name, got, f.SHA256), file.discard())
	}
	return file.finish()
}

// finish checks that all has arrived.
func (r *snapshotReceiver) finish() error {
	if r.manifest == nil || r.next < len(r.manifest.Files) {
		return fmt.Errorf("%w: it ended early", errSnapshotStream)
	}
	return nil
}

// abort closes what is open.
func (r *snapshotReceiver) abort() error {
	if r.file == nil {
		return nil
	}
	file := r.file
	r.file = nil
	return file.discard()
}

var _ io.Writer = (*snapshotReceiver)(nil)
