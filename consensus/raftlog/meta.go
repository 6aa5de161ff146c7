package raftlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/raft-wal/types"

	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

const (
	metaName    = "wal-meta.json"
	metaVersion = 1
	spareName   = "next-segment"
)

// metaState is the content of the meta file: one line of JSON, one line with the
// CRC32C of it in lower-case hexadecimal.
type metaState struct {
	Version int                   `json:"version"`
	State   types.PersistentState `json:"state"`

	// Created is one more than the id of the newest segment whose file is known to be
	// durable with its full size. Only a tail with another id may be missing: the
	// crash came between naming it and creating it.
	Created uint64 `json:"created"`

	// Clean is set by an orderly Close and removed by the next Open, before anything
	// is written: the tail then ends exactly there.
	Clean *cleanMark `json:"clean,omitempty"`
}

type cleanMark struct {
	Segment uint64 `json:"segment"`
	End     int64  `json:"end"`
}

// metaStore implements types.MetaStore over one file that is replaced whole.
//
// raft-wal's own keeps the list in bbolt, without a CRC: a flipped bit in the list,
// or in the newer of bbolt's two meta pages, is a list that misses the newest
// segment, and raft-wal deletes segments that its list misses.
type metaStore struct {
	path string
	seam fault.Seam

	mu    sync.Mutex
	state metaState
	fatal func(error) error // nil until the log is open
}

var _ types.MetaStore = (*metaStore)(nil)

// openMeta reads the meta file of dir; found is false where there is none.
func openMeta(dir string, seam fault.Seam) (m *metaStore, found bool, err error) {
	m = &metaStore{path: filepath.Join(dir, metaName), seam: seam}
	b, err := os.ReadFile(m.path)
	if errors.Is(err, os.ErrNotExist) {
		m.state.Version = metaVersion
		return m, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read raft log meta file: %w", err)
	}
	if err := parseMeta(m.path, b, &m.state); err != nil {
		return nil, true, err
	}
	return m, true, nil
}

func parseMeta(path string, b []byte, state *metaState) error {
	const trailer = len("\n00000000\n")
	if len(b) < trailer {
		return corruptf(path, int64(len(b)), "meta file is cut short")
	}
	body := b[:len(b)-trailer]
	if want := metaTrailer(body); string(b[len(body):]) != want {
		return corruptf(path, int64(len(body)), "meta file has not the CRC of its content")
	}
	if err := json.Unmarshal(body, state); err != nil {
		return corruptf(path, 0, "meta file: %v", err)
	}
	if state.Version != metaVersion {
		return fmt.Errorf("read raft log meta file: version %d, this program knows %d", state.Version, metaVersion)
	}
	return nil
}

func metaTrailer(body []byte) string {
	return fmt.Sprintf("\n%08x\n", crc32.Checksum(body, castagnoli))
}

// update changes the state and writes it.
func (m *metaStore) update(change func(*metaState)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.state
	change(&next)
	body, err := json.Marshal(&next)
	if err != nil {
		return fmt.Errorf("encode raft log meta file: %w", err)
	}
	if err := store.WriteFileAtomic(m.seam, m.path, append(body, metaTrailer(body)...)); err != nil {
		return err
	}
	m.state = next
	return nil
}

// Load implements types.MetaStore.
func (m *metaStore) Load(string) (types.PersistentState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.State, nil
}

// CommitState implements types.MetaStore. raft-wal v0.4.0 labels every segment with
// its built-in codec; here they get the one that they are written with.
func (m *metaStore) CommitState(state types.PersistentState) error {
	segments := make([]types.SegmentInfo, len(state.Segments))
	for i, si := range state.Segments {
		si.Codec = codecID
		segments[i] = si
	}
	state.Segments = segments
	err := m.update(func(s *metaState) { s.State, s.Clean = state, nil })
	if err != nil {
		m.mu.Lock()
		fatal := m.fatal
		m.mu.Unlock()
		if fatal != nil { // raft-wal only logs what goes wrong in its rotation
			return fatal(err)
		}
	}
	return err
}

// setFatal sets who is told, from now on, that the list could not be written.
func (m *metaStore) setFatal(fatal func(error) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fatal = fatal
}

// segments is the list as it was last written.
func (m *metaStore) segments() []types.SegmentInfo {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.State.Segments
}

// markClean records an orderly end: the tail's last batch ends at end.
func (m *metaStore) markClean(end int64) error {
	segments := m.segments()
	tail := segments[len(segments)-1]
	return m.update(func(s *metaState) { s.Clean = &cleanMark{Segment: tail.ID, End: end} })
}

// created records that the file of the segment is durable.
func (m *metaStore) created(segment uint64) error {
	return m.update(func(s *metaState) { s.Created = max(s.Created, segment+1) })
}

// isCreated reports whether the file of the segment must be there. Ids begin at 0.
func (s *metaState) isCreated(segment uint64) bool { return segment < s.Created }

// GetStable implements types.MetaStore. The stable store is another one.
func (m *metaStore) GetStable([]byte) ([]byte, error) { return nil, errNoStable }

// SetStable implements types.MetaStore.
func (m *metaStore) SetStable([]byte, []byte) error { return errNoStable }

// Close implements types.MetaStore. raft-wal never calls it; no file stays open.
func (m *metaStore) Close() error { return nil }

var errNoStable = errors.New("the log's meta file is no stable store")
