package backup

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

// ErrNotBackup: the file is none, or was not written to its end.
var ErrNotBackup = errors.New("not a whole backup file")

const (
	maxManifest = 256 << 20 // about 500,000 segments
	maxLine     = 1 << 20
	maxName     = 255
)

// Manifest says what is in a backup.
type Manifest struct {
	Head
	// Segments are all of the history, in order, without gaps.
	Segments []Segment
}

// Head is the manifest's first line.
type Head struct {
	ID      string    `json:"id"` // 32 hexadecimal digits, random
	Created time.Time `json:"created"`
	Node    string    `json:"node"`  // server id of the node that wrote it
	Epoch   string    `json:"epoch"` // of the cluster
	// Index and Term are those of the last entry that the state has applied.
	Index uint64 `json:"index"`
	Term  uint64 `json:"term"`
	// First and Last are the positions of the history; Last is the position of the
	// backup. First = Last + 1 when nothing is left of it, both 0 before the first event.
	First event.Position `json:"first"`
	Last  event.Position `json:"last"`
	// Since are the earlier backups that hold segments of this one, the oldest first.
	Since    []Ancestor `json:"since,omitempty"`
	State    Part       `json:"state"`
	Segments int        `json:"segments"` // how many lines follow
}

// Ancestor is an earlier backup, with the name that its file had.
type Ancestor struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Part is a file within the backup.
type Part struct {
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// Segment is one segment of the journal.
type Segment struct {
	First  event.Position `json:"first"`
	Last   event.Position `json:"last"`  // of those that count: a segment that is not sealed may go on
	Bytes  int64          `json:"bytes"` // of its records
	Sealed bool           `json:"sealed"`
	Digest string         `json:"digest,omitempty"` // of a sealed segment's records
	// In is the id of the earlier backup that holds it; empty: it is in this one,
	// as Part.
	In string `json:"in,omitempty"`
	*Part
}

var idForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// NewID returns a random id for a backup.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// ValidID reports whether an id has the form of a backup's.
func ValidID(id string) bool { return idForm.MatchString(id) }

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", store.ErrCorrupt, fmt.Sprintf(format, args...))
}

// check reports what in a head cannot be.
func (h *Head) check() error {
	if _, err := event.ParseEpoch(h.Epoch); err != nil || !ValidID(h.ID) {
		return damaged("manifest: id %q, epoch %q", h.ID, h.Epoch)
	}
	if h.Index == 0 || h.Segments < 0 || h.First > h.Last+1 || h.Last > math.MaxInt64 || (h.First == 0) != (h.Last == 0) {
		return damaged("manifest: index %d, positions %d to %d, %d segments", h.Index, h.First, h.Last, h.Segments)
	}
	known := map[string]bool{h.ID: true}
	for _, a := range h.Since {
		if !ValidID(a.ID) || known[a.ID] || a.Name == "" || len(a.Name) > maxName {
			return damaged("manifest: earlier backup %q, id %q", a.Name, a.ID)
		}
		known[a.ID] = true
	}
	return h.State.check()
}

func (p *Part) check() error {
	if sum, err := hex.DecodeString(p.SHA256); err != nil || len(sum) != 32 || p.Size <= 0 {
		return damaged("manifest: part of %d bytes with SHA-256 %q", p.Size, p.SHA256)
	}
	return nil
}

// check holds a segment to the head and to the one before it, nil for none.
func (s *Segment) check(h *Head, before *Segment) error {
	here := s.In == ""
	switch {
	case here != (s.Part != nil), !here && !h.names(s.In), !here && !s.Sealed:
		return damaged("manifest: segment %d: neither in this file nor in a known one", s.First)
	case s.First == 0, s.Last < s.First, s.Last > math.MaxInt64, s.First > h.Last, s.Bytes <= 0:
		return damaged("manifest: segment of positions %d to %d, %d bytes", s.First, s.Last, s.Bytes)
	case before == nil && s.First > max(h.First, 1), before != nil && (!before.Sealed || s.First != before.Last+1):
		return damaged("manifest: no segment precedes position %d", s.First)
	}
	if sum, err := hex.DecodeString(s.Digest); err != nil || (len(sum) == 32) != s.Sealed {
		return damaged("manifest: segment %d: sealed %v, digest %q", s.First, s.Sealed, s.Digest)
	}
	if here {
		return s.Part.check()
	}
	return nil
}

func (h *Head) names(id string) bool {
	for _, a := range h.Since {
		if a.ID == id {
			return true
		}
	}
	return false
}

// end checks that the segments reach the backup's position.
func (m *Manifest) end() error {
	n := len(m.Segments)
	if m.Last == 0 && n == 0 || n > 0 && m.Segments[n-1].Last >= m.Last {
		return nil
	}
	return damaged("manifest: its %d segments end before position %d", n, m.Last)
}

func (m *Manifest) encode() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	if err := encoder.Encode(m.Head); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	for i := range m.Segments {
		if err := encoder.Encode(m.Segments[i]); err != nil {
			return nil, fmt.Errorf("encode manifest: %w", err)
		}
	}
	return b.Bytes(), nil
}

// parseManifest reads line by line and stops at the first that cannot be, so that
// what it takes in memory is not much more than r has.
func parseManifest(r io.Reader) (*Manifest, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	m := &Manifest{}
	if err := line(lines, &m.Head); err != nil {
		return nil, err
	}
	if err := m.Head.check(); err != nil {
		return nil, err
	}
	for i := range m.Head.Segments {
		var s Segment
		if err := line(lines, &s); err != nil {
			return nil, err
		}
		var before *Segment
		if i > 0 {
			before = &m.Segments[i-1]
		}
		if err := s.check(&m.Head, before); err != nil {
			return nil, err
		}
		m.Segments = append(m.Segments, s)
	}
	if lines.Scan() || lines.Err() != nil {
		return nil, damaged("manifest: more than %d segments", m.Head.Segments)
	}
	return m, m.end()
}

func line(lines *bufio.Scanner, into any) error {
	if !lines.Scan() {
		return damaged("manifest: ends early (%v)", lines.Err())
	}
	decoder := json.NewDecoder(strings.NewReader(lines.Text()))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return damaged("manifest: %v", err)
	}
	if decoder.InputOffset() != int64(len(lines.Bytes())) {
		return damaged("manifest: something follows a line's value")
	}
	return nil
}
