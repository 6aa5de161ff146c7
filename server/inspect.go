package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/consensus/backup"
	"github.com/edri-io/edri/event"
)

// Inspection is what a data directory or a backup holds.
type Inspection struct {
	Path  string         `json:"path"`
	Kind  string         `json:"kind"` // "data directory" or "backup"
	Node  string         `json:"node"` // server id
	Epoch string         `json:"epoch"`
	Index uint64         `json:"applied_index,string"`
	Term  uint64         `json:"applied_term,string"`
	First event.Position `json:"first_position,string"`
	Last  event.Position `json:"last_position,string"`
	// Events is how many there are from First to Last.
	Events   uint64             `json:"events,string"`
	Segments []InspectedSegment `json:"segments"`
	Sound    bool               `json:"sound"`
	Damaged  []Damage           `json:"damaged,omitempty"`

	// Of a backup.
	ID      string     `json:"id,omitempty"`
	Created *time.Time `json:"created,omitempty"`
	Since   []string   `json:"since,omitempty"`

	// Of a data directory.
	Generation string            `json:"generation,omitempty"`
	Members    []InspectedMember `json:"members,omitempty"`
	Rows       map[string]int    `json:"rows,omitempty"` // of the state, by table
	RaftLog    *InspectedLog     `json:"raft_log,omitempty"`
}

// InspectedSegment is a segment of the journal.
type InspectedSegment struct {
	First  event.Position `json:"first,string"`
	Last   event.Position `json:"last,string"`
	Bytes  int64          `json:"bytes"` // of the records
	Sealed bool           `json:"sealed"`
	Digest string         `json:"digest,omitempty"` // of a sealed one
	// In is the file that holds it: relative to the directory, or an earlier backup.
	In string `json:"in"`
	// Note says what is to be known of it: "damaged", "not needed".
	Note string `json:"note,omitempty"`
}

// InspectedMember is a server of the cluster's configuration.
type InspectedMember struct {
	ServerID    string `json:"server_id"`
	RaftAddress string `json:"raft_address"`
	Voter       bool   `json:"voter"`
}

// InspectedLog is the raft log.
type InspectedLog struct {
	First    uint64 `json:"first_index,string"`
	Last     uint64 `json:"last_index,string"`
	Term     uint64 `json:"current_term,string"`
	Segments int    `json:"segments"`
	Bytes    int64  `json:"bytes"`
	Torn     bool   `json:"torn"` // its last batch was not written whole, nor acknowledged
}

// Inspect reads all of a data directory, which no node has open, or of a backup, and
// checks it. Damage is in the result and also a *DamageError.
func Inspect(ctx context.Context, path string) (Inspection, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Inspection{}, fmt.Errorf("inspect: %w", err)
	}
	inspect := inspectBackup
	if info.IsDir() {
		inspect = inspectDirectory
	}
	i, err := inspect(ctx, path)
	if err != nil {
		return Inspection{}, err
	}
	if i.Last >= i.First && i.First > 0 {
		i.Events = uint64(i.Last-i.First) + 1
	}
	if i.Sound = len(i.Damaged) == 0; !i.Sound {
		return i, &DamageError{Path: path, Parts: i.Damaged}
	}
	return i, nil
}

func inspectDirectory(ctx context.Context, path string) (Inspection, error) {
	d, err := consensus.Inspect(ctx, path)
	if err != nil {
		return Inspection{}, err
	}
	m, l := &d.Meta, &d.RaftLog
	i := Inspection{
		Path: path, Kind: "data directory", Node: d.ServerID, Epoch: m.Epoch.String(), Index: m.Index, Term: m.Term,
		First: m.Mark.First, Last: m.Mark.Last, Generation: d.Generation, Rows: d.Rows,
		RaftLog: &InspectedLog{First: l.First, Last: l.Last, Term: l.Term, Segments: l.Segments, Bytes: l.Bytes, Torn: l.Torn},
	}
	for _, s := range d.Segments {
		t := InspectedSegment{First: s.First, Last: s.Last, Bytes: s.Bytes, Sealed: s.Sealed, In: s.File}
		switch {
		case s.Err != nil:
			t.Note = "damaged"
		case s.Outside:
			t.Note = "not needed: the next start deletes it"
		}
		if s.Sealed {
			t.Digest = fmt.Sprintf("%x", s.Digest)
		}
		i.Segments = append(i.Segments, t)
	}
	for _, s := range d.Members {
		i.Members = append(i.Members, InspectedMember{s.ServerID, s.RaftAddress, s.Voter})
	}
	for _, f := range d.Damage {
		i.Damaged = append(i.Damaged, Damage{f.File, f.Err.Error()})
	}
	return i, nil
}

func inspectBackup(ctx context.Context, path string) (_ Inspection, err error) {
	f, err := backup.Open(path)
	if err != nil {
		return Inspection{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	damage, err := f.Verify(ctx, nil)
	if err != nil {
		return Inspection{}, err
	}
	i := Inspection{
		Path: path, Kind: "backup", Node: f.Node, Epoch: f.Epoch, Index: f.Index, Term: f.Term,
		First: f.First, Last: f.Last, ID: f.ID, Created: &f.Created,
	}
	names, damaged := map[string]string{"": f.Name()}, map[string]bool{}
	for _, a := range f.Since {
		names[a.ID] = a.Name
		i.Since = append(i.Since, a.Name)
	}
	for _, d := range damage {
		damaged[d.Part] = true
		i.Damaged = append(i.Damaged, Damage{d.Part, d.Err.Error()})
	}
	for n := range f.Segments {
		s := &f.Segments[n]
		t := InspectedSegment{First: s.First, Last: s.Last, Bytes: s.Bytes, Sealed: s.Sealed, Digest: s.Digest, In: names[s.In]}
		if damaged[backup.SegmentName(s)] {
			t.Note = "damaged"
		}
		i.Segments = append(i.Segments, t)
	}
	return i, nil
}
