package consensus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/consensus/raftlog"
	"github.com/edri-io/edri/log"
	"github.com/edri-io/edri/store"
)

// Inspection is what Inspect found in a data directory.
type Inspection struct {
	ServerID   string // empty: the directory has no identity yet
	Generation string // directory in use
	Meta       Meta   // as of the last flush
	Members    []InspectedMember
	Rows       map[string]int // of the state, by table
	Segments   []InspectedSegment
	RaftLog    raftlog.Report
	Damage     []FileDamage
}

// InspectedMember is a server of Raft's configuration.
type InspectedMember struct {
	ServerID    string
	RaftAddress string // as it said last; others may know better
	Voter       bool
}

// InspectedSegment is a file of the journal. If Err is not nil, it is damaged and
// the rest is not known.
type InspectedSegment struct {
	log.SegmentInfo
	File string // relative to the data directory
	// Outside of what the state says: the next start deletes it.
	Outside bool
	Err     error
}

// FileDamage names a damaged file, relative to the data directory.
type FileDamage struct {
	File string
	Err  error
}

// Inspect reads all that a data directory holds and checks it, without changing
// anything. While a node runs there it is store.ErrLocked. What is damaged is in
// Damage; errors are of reading.
func Inspect(ctx context.Context, dir string) (_ *Inspection, err error) {
	lock, err := store.LockDirForReading(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	if err := refuseHalfRestored(dir); err != nil {
		return nil, err
	}
	i := &inspector{dir: dir, Inspection: &Inspection{Rows: map[string]int{}}, addresses: map[string]string{}}
	for _, step := range []func(context.Context) error{i.identity, i.generation, i.state, i.journal, i.raftLog} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("inspect %s: %w", dir, err)
		}
	}
	return i.Inspection, nil
}

type inspector struct {
	*Inspection
	dir       string
	addresses map[string]string // of raft ports, by server id
}

// note takes down damage of a file; other errors it returns.
func (i *inspector) note(path string, err error) error {
	if errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrFormat) {
		i.Damage = append(i.Damage, FileDamage{i.relative(path), err})
		return nil
	}
	return err
}

func (i *inspector) relative(path string) string {
	if name, err := filepath.Rel(i.dir, path); err == nil {
		return name
	}
	return path
}

func (i *inspector) identity(context.Context) error {
	path := filepath.Join(i.dir, identityFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read identity: %w", err)
	}
	var id identity
	if err := json.Unmarshal(data, &id); err != nil || id.Random == "" {
		return i.note(path, fmt.Errorf("%w: not an identity", store.ErrCorrupt))
	}
	i.ServerID = string(id.ServerID())
	return nil
}

func (i *inspector) generation(context.Context) error {
	gens := generations{dir: i.dir}
	name, err := os.ReadFile(gens.currentPath())
	if errors.Is(err, fs.ErrNotExist) {
		if i.ServerID == "" {
			return errors.New("not a data directory: it has neither node.json nor CURRENT")
		}
		return i.note(gens.currentPath(), gens.refuseOrphans())
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", currentFile, err)
	}
	n, err := parseGeneration(strings.TrimSuffix(string(name), "\n"))
	if err != nil {
		return i.note(gens.currentPath(), fmt.Errorf("%w: %w", store.ErrCorrupt, err))
	}
	i.Generation = filepath.Base(gens.path(n))
	// What a node met may be gone from the files, or never have been there but in its
	// memory: it does not open them again.
	why, err := gens.marked(gens.path(n))
	if err != nil || why == "" {
		return err
	}
	return i.note(filepath.Join(gens.path(n), markFile), fmt.Errorf("%w: the node has marked this generation: %s", store.ErrCorrupt, why))
}

// state reads every row of the state.
func (i *inspector) state(ctx context.Context) error {
	path := filepath.Join(i.dir, i.Generation, StateFile)
	if i.Generation == "" {
		return nil
	}
	err := withFile(path, func(r io.ReaderAt, size int64) error { return store.CheckStateIn(ctx, r, size, path, i.row) })
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: it is missing", store.ErrCorrupt)
	}
	for n := range i.Members {
		i.Members[n].RaftAddress = i.addresses[i.Members[n].ServerID]
	}
	return i.note(path, err)
}

func (i *inspector) row(table string, key, value []byte) (err error) {
	i.Rows[table]++
	switch {
	case table == tableMembers:
		m, err := decodeMember(string(key), value)
		i.addresses[m.ServerID] = m.RaftAddress
		return err
	case table != tableMeta:
	case string(key) == string(metaKey):
		i.Meta, err = decodeMeta(value)
	case string(key) == string(configurationKey):
		var configuration []byte
		if _, configuration, err = decodeConfiguration(value); err == nil {
			i.Members, err = decodeServers(configuration)
		}
	}
	return err
}

// decodeServers reads Raft's bytes, whose decoder panics where they are wrong.
func decodeServers(b []byte) (members []InspectedMember, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: configuration: %v", errRow, r)
		}
	}()
	for _, s := range raft.DecodeConfiguration(b).Servers {
		members = append(members, InspectedMember{ServerID: string(s.ID), Voter: s.Suffrage == raft.Voter})
	}
	return members, nil
}

// journal reads every segment.
func (i *inspector) journal(ctx context.Context) error {
	if i.Generation == "" {
		return nil
	}
	dir := filepath.Join(i.dir, i.Generation, JournalDir)
	paths, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		return fmt.Errorf("list segments: %w", err)
	}
	for _, path := range paths {
		s := InspectedSegment{File: i.relative(path)}
		err := withFile(path, func(r io.ReaderAt, size int64) (err error) {
			s.SegmentInfo, err = log.CheckSegment(ctx, r, size, path)
			return err
		})
		noted := len(i.Damage)
		if err := i.note(path, err); err != nil {
			return err
		}
		if len(i.Damage) > noted {
			s.Err = i.Damage[noted].Err
		}
		mark := i.Meta.Mark
		s.Outside = s.Err == nil && (s.First > mark.Segment || s.Last < mark.First && s.First != mark.Segment)
		i.Segments = append(i.Segments, s)
	}
	return i.complete(dir)
}

// complete looks for segments that are missing.
func (i *inspector) complete(dir string) error {
	mark := i.Meta.Mark
	if mark.Segment == 0 {
		return nil
	}
	next := max(mark.First, 1)
	for _, s := range i.Segments {
		switch {
		case s.Err != nil:
			return nil // what it held is not known, nor what follows
		case s.Outside:
		case s.First > next:
			return i.note(dir, fmt.Errorf("%w: positions %d to %d are missing", store.ErrCorrupt, next, s.First-1))
		default:
			next = s.Last + 1
		}
	}
	if next <= mark.Last {
		return i.note(dir, fmt.Errorf("%w: it ends at %d, the state at %d", store.ErrCorrupt, next-1, mark.Last))
	}
	return nil
}

func (i *inspector) raftLog(context.Context) (err error) {
	dir := filepath.Join(i.dir, raftDir)
	if i.RaftLog, err = raftlog.Inspect(dir); err != nil {
		return err
	}
	for _, err := range i.RaftLog.Damage {
		path := dir
		if damage := (*raftlog.CorruptError)(nil); errors.As(err, &damage) {
			path = damage.File
		}
		i.Damage = append(i.Damage, FileDamage{i.relative(path), err})
	}
	return nil
}

func withFile(path string, use func(r io.ReaderAt, size int64) error) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	return use(file, info.Size())
}
