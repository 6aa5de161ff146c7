package consensus

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
	"github.com/edri-io/edri/store"
)

// durablePin holds the state as it is on disk, without what is still in memory.
type durablePin struct {
	pin           *store.Pin
	meta          Meta
	configIndex   uint64
	configuration []byte
}

// pinDurable pins the state file as of its last flush.
func (c *Core) pinDurable() (*durablePin, error) {
	pin, err := c.db.Pin()
	if err != nil {
		return nil, fmt.Errorf("pin state: %w", err)
	}
	p := &durablePin{pin: pin}
	if err := p.read(c); err != nil {
		p.close()
		return nil, fmt.Errorf("read pinned state: %w", err)
	}
	return p, nil
}

func (p *durablePin) read(c *Core) error {
	row, err := p.pin.Get(c.tables.meta, metaKey)
	if err != nil || row == nil {
		return err
	}
	if p.meta, err = decodeMeta(row); err != nil {
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	if row, err = p.pin.Get(c.tables.meta, configurationKey); err != nil {
		return err
	}
	p.configIndex, p.configuration, err = decodeConfiguration(row)
	return err
}

func (p *durablePin) close() { p.pin.Close() }

// snapshotMeta is what Raft wants to know of a snapshot.
func (p *durablePin) snapshotMeta() raft.SnapshotMeta {
	m := raft.SnapshotMeta{
		Version:            raft.SnapshotVersionMax,
		ID:                 fmt.Sprintf("state-%d", p.meta.Index),
		Index:              p.meta.Index,
		Term:               p.meta.Term,
		ConfigurationIndex: p.configIndex,
	}
	if p.configuration != nil {
		m.Configuration = raft.DecodeConfiguration(p.configuration)
	}
	return m
}

// export makes a snapshot for another node: a copy of the state, then of the
// segment that its position stands in, and the names of the segments before that,
// which the receiver fetches where it lacks them (OpenSegment). The copies are made
// in the staging directory first, so that no transaction is open while bytes
// travel. The journal's copy may go beyond the state; opening cuts that off. There
// is one export at a time.
func (n *Node) export() (*raft.SnapshotMeta, io.ReadCloser, error) {
	if !n.exporting.CompareAndSwap(false, true) {
		return nil, nil, errors.New("another snapshot is on its way") // Raft tries again
	}
	dir, err := os.MkdirTemp(n.gens.staging(), "export-")
	if err != nil {
		n.exporting.Store(false)
		return nil, nil, fmt.Errorf("create staging directory: %w", err)
	}
	core := n.core.Load()
	e := &snapshotExport{dir: dir, release: n.releaseExport(time.Now(), core.journal.Hold())}
	if err := e.copy(core); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("export snapshot: %w", err), e.Close())
	}
	return &e.meta, e, nil
}

// releaseExport returns what ends an export that began at a time. Its receiver
// needs the entries after the snapshot next, and then those that came together
// while it read them; so the raft log is kept for twice as long again as the
// transfer took, or a busy cluster would truncate it and send snapshots for ever.
// An attempt to send to a node that is down holds nothing: Raft goes on trying.
// Until the export is closed, retention deletes no segment that it names.
func (n *Node) releaseExport(began time.Time, releaseSegments func()) func(sent bool) {
	return func(sent bool) {
		releaseSegments()
		if now := time.Now(); sent {
			n.holdUntil.Store(now.Add(max(2*now.Sub(began), minLogHold)).UnixNano())
		}
		n.exporting.Store(false)
	}
}

const minLogHold = 30 * time.Second

// logHeld reports whether the raft log must not be truncated.
func (n *Node) logHeld() bool {
	return n.exporting.Load() || time.Now().UnixNano() < n.holdUntil.Load()
}

// snapshotExport reads a snapshot stream from staged files. While it is open the
// raft log keeps what the receiver will need next.
type snapshotExport struct {
	dir     string
	meta    raft.SnapshotMeta
	files   []*os.File
	stream  io.Reader
	sent    bool // all of it was read
	release func(sent bool)
}

func (e *snapshotExport) copy(core *Core) error {
	pin, err := core.pinDurable()
	if err != nil {
		return err
	}
	defer pin.close()
	e.meta = pin.snapshotMeta()
	m := manifest{Index: pin.meta.Index, Term: pin.meta.Term}
	if err := e.add(&m, stateFile, pin.pin.WriteTo); err != nil {
		return err
	}
	if err := e.journal(&m, core, pin.meta.Mark); err != nil {
		return err
	}
	return e.assemble(m)
}

// journal copies the segment that the mark stands in, which may have been sealed
// since, and names those before it.
func (e *snapshotExport) journal(m *manifest, core *Core, mark log.Mark) error {
	segments, err := core.journal.Settle() // so that all before the mark's are sealed
	if err != nil {
		return fmt.Errorf("settle journal: %w", err)
	}
	for _, s := range segments {
		switch {
		case s.First == mark.Segment:
			if err := e.add(m, segmentFile(s.First), copySegment(core, s.First)); err != nil {
				return err
			}
		case s.First < mark.Segment && s.Last >= mark.First:
			m.Sealed = append(m.Sealed, sealedEntry(s))
		}
	}
	return nil
}

func copySegment(core *Core, first event.Position) func(io.Writer) (int64, error) {
	return func(w io.Writer) (int64, error) { return core.journal.CopySegment(first, w) }
}

// add stages one file and enters it into the manifest.
func (e *snapshotExport) add(m *manifest, name string, write func(io.Writer) (int64, error)) error {
	file, err := os.OpenFile(filepath.Join(e.dir, fmt.Sprintf("%d", len(e.files))), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("create staged file: %w", err)
	}
	e.files = append(e.files, file)
	digest := sha256.New()
	size, err := write(io.MultiWriter(file, digest))
	if err != nil {
		return fmt.Errorf("copy %s: %w", name, err)
	}
	m.Files = append(m.Files, manifestFile{Name: name, Size: size, SHA256: hex.EncodeToString(digest.Sum(nil))})
	return nil
}

// assemble joins the manifest and the files.
func (e *snapshotExport) assemble(m manifest) error {
	head, err := m.encode()
	if err != nil {
		return err
	}
	readers := []io.Reader{bytes.NewReader(head)}
	e.meta.Size = int64(len(head))
	for i, f := range e.files {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("rewind staged file: %w", err)
		}
		readers = append(readers, f)
		e.meta.Size += m.Files[i].Size
	}
	e.stream = io.MultiReader(readers...)
	return nil
}

// Read implements io.Reader.
func (e *snapshotExport) Read(p []byte) (int, error) {
	n, err := e.stream.Read(p)
	e.sent = e.sent || errors.Is(err, io.EOF)
	return n, err
}

// Close implements io.Closer: it removes the staged files.
func (e *snapshotExport) Close() error {
	var errs []error
	for _, f := range e.files {
		errs = append(errs, f.Close())
	}
	e.release(e.sent)
	return errors.Join(append(errs, os.RemoveAll(e.dir))...)
}
