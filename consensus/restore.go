package consensus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/uuid"
	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/consensus/raftlog"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

// A restore makes a data directory from a backup, in these steps. Until the last
// one RESTORING is there, and no node starts on the directory:
//
//	1  RESTORING              the directory was empty before
//	2  data-000001/           state and journal, extracted and checked
//	3  node.json              a new server id
//	4  state: a new epoch …   see Core.begin; the journal cut to the state
//	5  origin.json, raft/     an empty raft log that follows the state's entry
//	6  CURRENT
//	7  RESTORING removed
//
// A crash before 7 leaves a directory to be emptied; after it, a node.
const restoringFile = "RESTORING"

// ErrHalfRestored means that a restore into the directory did not come to its end.
var ErrHalfRestored = errors.New("a restore into this directory did not finish: empty it and restore again")

// ErrNotEmpty means that a directory to restore into has something in it.
var ErrNotEmpty = errors.New("directory is not empty")

// refuseHalfRestored keeps a node from what a restore left unfinished.
func refuseHalfRestored(dir string) error {
	_, err := os.Lstat(filepath.Join(dir, restoringFile))
	switch {
	case err == nil:
		return fmt.Errorf("%s: %w", dir, ErrHalfRestored)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return fmt.Errorf("look for an unfinished restore: %w", err)
}

// RestoreConfig says what Restore makes. All but Seam and Logger are required.
type RestoreConfig struct {
	Dir         string // data directory: empty, or not there
	Name        string // node name
	RaftAddress string // host:port where others will dial the node's raft port
	// Fill writes state.db and journal/ of the backup into a directory.
	Fill func(ctx context.Context, seam fault.Seam, dir string) error

	Seam   fault.Seam
	Logger *slog.Logger // default: discards
}

// Restored is what a restore made.
type Restored struct {
	ServerID    string
	Epoch       event.Epoch // new
	Before      event.Epoch // of the cluster that was backed up
	Index       uint64
	First, Last event.Position
	Sessions    int // that were ended
	Producers   int // that go on
}

// Restore makes the data directory of a cluster of one, which has the history and
// the state of a backup and an epoch of its own.
func Restore(ctx context.Context, cfg RestoreConfig) (Restored, error) {
	if err := event.CheckName("node name", cfg.Name); err != nil {
		return Restored{}, err
	}
	if cfg.RaftAddress == "" {
		return Restored{}, errors.New("restore: a raft address is required")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return Restored{}, fmt.Errorf("create data directory: %w", err)
	}
	if err := refuseContent(cfg.Dir); err != nil {
		return Restored{}, err
	}
	lock, err := store.LockDir(cfg.Dir)
	if err != nil {
		return Restored{}, err
	}
	restored, err := cfg.restore(ctx)
	return restored, errors.Join(err, lock.Unlock())
}

// refuseContent finds what is in a directory besides the lock and the marker that
// never came to be, and what a file system keeps in its root.
func refuseContent(dir string) error {
	if err := refuseHalfRestored(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read data directory: %w", err)
	}
	for _, e := range entries {
		if !slices.Contains([]string{store.LockName, store.TempPath(restoringFile), "lost+found"}, e.Name()) {
			return fmt.Errorf("restore into %s: %w: it has %s", dir, ErrNotEmpty, e.Name())
		}
	}
	return nil
}

func (cfg *RestoreConfig) restore(ctx context.Context) (Restored, error) {
	if err := refuseContent(cfg.Dir); err != nil { // again: now nobody else has it
		return Restored{}, err
	}
	marker := filepath.Join(cfg.Dir, restoringFile)
	if err := store.WriteFileAtomic(cfg.Seam, marker, []byte("see edri restore\n")); err != nil {
		return Restored{}, fmt.Errorf("begin restore: %w", err)
	}
	gens := generations{cfg.Dir, cfg.Seam}
	generation := gens.path(1)
	if err := cfg.Seam.Do(fault.OpCreate, generation, func() error { return os.Mkdir(generation, 0o700) }); err != nil {
		return Restored{}, fmt.Errorf("create generation: %w", err)
	}
	if err := cfg.Fill(ctx, cfg.Seam, generation); err != nil {
		return Restored{}, fmt.Errorf("fill data directory: %w", err)
	}
	id, err := loadIdentity(cfg.Seam, cfg.Dir, cfg.Name)
	if err != nil {
		return Restored{}, err
	}
	restored, term, err := cfg.begin(generation, id.ServerID())
	if err != nil {
		return Restored{}, fmt.Errorf("begin a new lineage: %w", err)
	}
	if err := cfg.writeLog(generation, restored.Index, term); err != nil {
		return Restored{}, err
	}
	if err := gens.switchTo(generation); err != nil {
		return Restored{}, err
	}
	if err := ctx.Err(); err != nil {
		return Restored{}, err
	}
	return restored, store.Remove(cfg.Seam, marker)
}

// begin opens the state, which cuts the journal to it, and makes it that of a new
// cluster.
func (cfg *RestoreConfig) begin(generation string, id raft.ServerID) (r Restored, term uint64, err error) {
	core, err := OpenCore(generation, CoreConfig{Seam: cfg.Seam, Logger: cfg.Logger})
	if err != nil {
		return r, 0, err
	}
	defer func() { err = errors.Join(err, core.Close()) }()
	epoch, err := uuid.NewV7()
	if err != nil {
		return r, 0, fmt.Errorf("make an epoch: %w", err)
	}
	before := core.Meta()
	r = Restored{
		ServerID: string(id), Epoch: event.Epoch(epoch), Before: before.Epoch, Index: before.Index,
		First: before.Mark.First, Last: before.Mark.Last,
	}
	if before.Index == 0 || before.Epoch.IsZero() {
		return r, 0, fmt.Errorf("%w: the state is empty", store.ErrCorrupt)
	}
	self := Member{ServerID: string(id), RaftAddress: cfg.RaftAddress}
	if r.Sessions, err = core.begin(r.Epoch, self); err != nil {
		return r, 0, err
	}
	r.Producers = len(core.sessions.byID)
	return r, before.Term, core.Freeze().Run()
}

// writeLog makes the raft log of a node whose state came from elsewhere: empty, in
// the term of the state's last entry, so that no later one has an earlier term.
func (cfg *RestoreConfig) writeLog(generation string, index, term uint64) error {
	origin, err := json.Marshal(snapshotOrigin{Index: index, Term: term})
	if err != nil {
		return fmt.Errorf("encode origin: %w", err)
	}
	if err := store.WriteFileAtomic(cfg.Seam, filepath.Join(generation, originFile), append(origin, '\n')); err != nil {
		return err
	}
	log, err := raftlog.Open(filepath.Join(cfg.Dir, raftDir), raftlog.Config{Seam: cfg.Seam, Logger: cfg.Logger})
	if err != nil {
		return fmt.Errorf("make raft log: %w", err)
	}
	err = log.Stable().SetUint64([]byte("CurrentTerm"), term)
	if err := errors.Join(err, log.Close()); err != nil {
		return fmt.Errorf("make raft log: %w", err)
	}
	return nil
}
