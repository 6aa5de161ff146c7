package consensus

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

// A snapshot on its way between two nodes:
//
//	0   10  "edrisnap1\n"
//	10   4  length of the manifest, big endian
//	14   n  manifest, JSON
//	14+n    the files, one after the other, in the manifest's order
const (
	snapshotMagic    = "edrisnap1\n"
	maxManifestBytes = 16 << 20
	originFile       = "origin.json"
	stateFile        = "state.db"
	journalDir       = "journal"
)

var errSnapshotStream = errors.New("malformed snapshot stream")

// Only these names are ever written by a receiver.
var snapshotFileName = regexp.MustCompile(`^(state\.db|journal/[0-9]{20}\.seg)$`)

type manifest struct {
	Index uint64         `json:"index"`
	Term  uint64         `json:"term"`
	Files []manifestFile `json:"files"`
}

type manifestFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

func (m manifest) encode() ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	head := append([]byte(snapshotMagic), binary.BigEndian.AppendUint32(nil, uint32(len(body)))...)
	return append(head, body...), nil
}

// parseManifest reads a manifest from the start of b and returns how many bytes
// it took, 0 if b does not hold the whole of it yet.
func parseManifest(b []byte) (manifest, int, error) {
	head := len(snapshotMagic) + 4
	if len(b) < head {
		return manifest{}, 0, nil
	}
	if string(b[:len(snapshotMagic)]) != snapshotMagic {
		return manifest{}, 0, fmt.Errorf("%w: bad magic", errSnapshotStream)
	}
	n := int64(binary.BigEndian.Uint32(b[len(snapshotMagic):]))
	if n > maxManifestBytes {
		return manifest{}, 0, fmt.Errorf("%w: manifest of %d bytes", errSnapshotStream, n)
	}
	if int64(len(b)) < int64(head)+n {
		return manifest{}, 0, nil
	}
	var m manifest
	if err := json.Unmarshal(b[head:int64(head)+n], &m); err != nil {
		return manifest{}, 0, fmt.Errorf("%w: manifest: %v", errSnapshotStream, err)
	}
	return m, head + int(n), m.check()
}

func (m manifest) check() error {
	if len(m.Files) == 0 || m.Files[0].Name != stateFile {
		return fmt.Errorf("%w: no state file", errSnapshotStream)
	}
	seen := make(map[string]bool, len(m.Files))
	for _, f := range m.Files {
		if !snapshotFileName.MatchString(f.Name) || seen[f.Name] || f.Size < 0 {
			return fmt.Errorf("%w: file %q of %d bytes", errSnapshotStream, f.Name, f.Size)
		}
		seen[f.Name] = true
	}
	return nil
}

// snapshotReceiver writes a snapshot stream into a generation's directory as it
// arrives. Every file is checked against its digest and synced; the directory is
// complete only after finish.
type snapshotReceiver struct {
	dir      string
	seam     fault.Seam
	head     []byte // until the manifest is whole
	manifest *manifest
	next     int // index of the file that is being written
	file     *os.File
	digest   hash.Hash
	left     int64
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
			return 0, fmt.Errorf("create journal directory: %w", err)
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
			return 0, fmt.Errorf("write snapshot file: %w", err)
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
		file, err := os.OpenFile(filepath.Join(r.dir, filepath.FromSlash(f.Name)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("create snapshot file: %w", err)
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
		return errors.Join(fmt.Errorf("%w: %s has digest %s, not %s", errSnapshotStream, f.Name, got, f.SHA256), file.Close())
	}
	if err := r.seam.Before(fault.OpSync, file.Name()); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := file.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync snapshot file: %w", err), file.Close())
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("close snapshot file: %w", err)
	}
	return r.seam.After(fault.OpSync, file.Name())
}

// finish checks that all has arrived and makes it durable.
func (r *snapshotReceiver) finish() error {
	if r.manifest == nil || r.next < len(r.manifest.Files) {
		return fmt.Errorf("%w: it ended early", errSnapshotStream)
	}
	origin, err := json.Marshal(snapshotOrigin{Index: r.manifest.Index, Term: r.manifest.Term})
	if err != nil {
		return fmt.Errorf("encode origin: %w", err)
	}
	if err := store.WriteFileAtomic(r.seam, filepath.Join(r.dir, originFile), append(origin, '\n')); err != nil {
		return err
	}
	if err := store.SyncDir(r.seam, filepath.Join(r.dir, journalDir)); err != nil {
		return err
	}
	return store.SyncDir(r.seam, r.dir)
}

// abort closes what is open and removes everything.
func (r *snapshotReceiver) abort() error {
	var err error
	if r.file != nil {
		err = r.file.Close()
		r.file = nil
	}
	return errors.Join(err, os.RemoveAll(r.dir))
}

// snapshotOrigin says that a generation came from another node: its state may be
// ahead of this node's raft log, up to this index.
type snapshotOrigin struct {
	Index uint64 `json:"index"`
	Term  uint64 `json:"term"`
}

// readOrigin returns the zero origin for a generation that began empty.
func readOrigin(generation string) (snapshotOrigin, error) {
	data, err := os.ReadFile(filepath.Join(generation, originFile))
	if errors.Is(err, os.ErrNotExist) {
		return snapshotOrigin{}, nil
	}
	if err != nil {
		return snapshotOrigin{}, fmt.Errorf("read origin: %w", err)
	}
	var o snapshotOrigin
	if err := json.Unmarshal(data, &o); err != nil {
		return snapshotOrigin{}, fmt.Errorf("%w: %s: %v", store.ErrCorrupt, filepath.Join(generation, originFile), err)
	}
	return o, nil
}

var _ io.Writer = (*snapshotReceiver)(nil)
