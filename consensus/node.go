package consensus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/consensus/raftlog"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

// Node is one member of the cluster: the deterministic Core, the Raft that feeds
// it and what leads to both.
//
// Locks are taken in the order flushing, applying, replacing.
type Node struct {
	cfg      Config
	logger   *slog.Logger
	serverID raft.ServerID
	gens     generations
	lock     *store.DirLock

	core     atomic.Pointer[Core] // another after a snapshot was installed
	progress *progress
	waiters  *waiters
	log      *raftlog.Log
	entries  baseLog // the log as Raft sees it
	peers    Network
	raft     atomic.Pointer[raft.Raft] // nil until the node has found its cluster

	forwarder    *forwarder
	clocks       *clocks
	reports      *reports
	alarms       *alarms
	followers    followers // of pulseLoop: of the leader
	pulseNow     chan struct{}
	disk         atomic.Pointer[diskSpace]
	noSpace      atomic.Pointer[event.Error] // with which commits that store are refused; nil: none
	diverged     atomic.Bool
	disagreement disagreement // of pulseLoop: whose state differs
	raised       time.Time    // of pulseLoop: when it last proposed a feature level
	handOvers    int          // of pulseLoop: tries since this node has led without space
	handedOver   time.Time    // of pulseLoop: the last of them
	proposer     *proposer    // set before raft
	reads        *readIndexes // set before raft

	flushing  sync.Mutex   // held during a flush, and while the core is replaced
	applying  sync.Mutex   // held while Raft's entries change the core
	replacing sync.RWMutex // held while a view is taken, and while the core is replaced
	flushNow  chan struct{}

	install       atomic.Pointer[installed] // a received snapshot that Restore puts in force
	staged        *staging
	exporting     atomic.Bool   // a snapshot is on its way to another node
	backingUp     atomic.Bool   // a backup is being made
	holdUntil     atomic.Int64  // when the raft log may be truncated again, ns since 1970
	compacted     atomic.Uint64 // index of the last truncation of the raft log
	scrub         scrub
	resync        atomic.Pointer[resyncState] // nil: the state is whole
	lastStamp     atomic.Int64
	proposedEpoch event.Epoch

	addresses     *addresses
	roster        []string                // of the last saveRoster
	introductions map[string]Introduction // of the start goroutine
	waiting       atomic.Pointer[string]  // for what, before Raft runs

	lifetime context.Context // ends with the node
	end      context.CancelFunc
	closing  <-chan struct{}
	tasks    sync.WaitGroup
	started  chan struct{} // closed when Raft runs, or never will
	dead     chan struct{} // closed when Raft has shut down
	ending   sync.Mutex    // held while a task of others begins, and to end that
	failstop failstop
	closed   sync.Once
}

// Open opens the data directory and starts to look for the cluster. It returns
// before there is one; see Ready.
func Open(cfg Config) (*Node, error) {
	cfg, err := cfg.normalise()
	if err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, logger: cfg.Logger, gens: generations{cfg.Dir, cfg.Seam}, flushNow: make(chan struct{}, 1), pulseNow: make(chan struct{}, 1), started: make(chan struct{}), dead: make(chan struct{})}
	n.clocks, n.reports, n.alarms = newClocks(cfg.Clock), newReports(), newAlarms(cfg.Logger)
	n.disk.Store(&diskSpace{})
	n.setWaiting("the data directory is being opened")
	n.lifetime, n.end = context.WithCancel(context.Background()) // the node's own life, ended by Close
	n.closing = n.lifetime.Done()
	if err := n.open(); err != nil {
		n.end()
		return nil, errors.Join(err, n.release())
	}
	n.tasks.Add(6)
	go n.pulseLoop()
	go n.flushLoop()
	go n.compactLoop()
	go n.keepHouse()
	go n.scrubLoop()
	go n.start()
	return n, nil
}

func (n *Node) open() error {
	if err := os.MkdirAll(n.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	lock, err := store.LockDir(n.cfg.Dir)
	if err != nil {
		return err
	}
	n.lock = lock
	if err := refuseHalfRestored(n.cfg.Dir); err != nil {
		return err
	}
	id, err := loadIdentity(n.cfg.Seam, n.cfg.Dir, n.cfg.Name)
	if err != nil {
		return err
	}
	n.serverID = id.ServerID()
	if n.roster, err = loadRoster(n.cfg.Dir); err != nil {
		return err
	}
	if n.disagreement, err = loadDisagreement(n.cfg.Dir); err != nil {
		return err
	}
	n.addresses = newAddresses(n.cfg.RaftAdvertise, n.cfg.Peers, n.roster)
	// The first leader of all gives the cluster its epoch, here prepared.
	epoch, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make an epoch: %w", err)
	}
	n.proposedEpoch = event.Epoch(epoch)
	n.staged = newStaging(n.gens.stagedSegments(), n.cfg.Seam)
	generation, core, err := n.openState()
	if err != nil {
		return err
	}
	n.core.Store(core)
	index, term := core.AppliedIndex()
	n.progress = newProgress(index, term)
	n.waiters = newWaiters()
	if n.log, err = n.openLog(generation, index); err != nil {
		return err
	}
	n.compacted.Store(index)
	if n.peers, err = n.connect(); err != nil {
		return err
	}
	n.forwarder = newForwarder(n)
	n.measureDisk()
	return nil
}

// Close hands leadership over, writes what was applied and releases all. It is
// safe to call twice. The context bounds the handover.
func (n *Node) Close(ctx context.Context) error {
	var err error
	n.closed.Do(func() { err = n.close(ctx) })
	return err
}

func (n *Node) close(ctx context.Context) error {
	n.HandOver(ctx)
	n.halt()
	var err error
	if !n.hasFailed() {
		err = n.flush()
	}
	return errors.Join(err, n.release())
}

// halt ends everything that runs. What was applied and not flushed is applied
// again from the log at the next start.
func (n *Node) halt() {
	n.ending.Lock()
	n.end()
	n.ending.Unlock()
	<-n.started
	if r := n.raft.Load(); r != nil {
		if err := r.Shutdown().Error(); err != nil {
			n.logger.Warn("raft did not shut down", "error", err)
		}
	}
	close(n.dead)
	if n.proposer != nil {
		n.proposer.close()
	}
	n.waiters.close()
	n.tasks.Wait()
}

// beginTask adds a task that others asked for, false once the node is ending.
func (n *Node) beginTask() bool {
	n.ending.Lock()
	defer n.ending.Unlock()
	if n.lifetime.Err() != nil {
		return false
	}
	n.tasks.Add(1)
	return true
}

// HandOver moves leadership to another voter, so that a planned stop costs no
// election timeout. Raft waits for one election timeout at most. On a node that
// does not lead it does nothing; Close calls it too.
func (n *Node) HandOver(ctx context.Context) {
	r := n.raft.Load()
	if r == nil || r.State() != raft.Leader || !n.otherVoter(r) {
		return
	}
	done := make(chan error, 1)
	go func() { done <- r.LeadershipTransfer().Error() }()
	select {
	case err := <-done:
		if err != nil {
			n.logger.Warn("leadership was not handed over", "error", err)
		}
	case <-ctx.Done():
		n.logger.Warn("leadership was not handed over in time")
	}
}

// otherVoter reports whether there is a voter besides this node.
func (n *Node) otherVoter(r *raft.Raft) bool {
	return slices.ContainsFunc(r.GetConfiguration().Configuration().Servers, func(s raft.Server) bool {
		return s.Suffrage == raft.Voter && s.ID != n.serverID
	})
}

// release closes what open opened, in reverse order.
func (n *Node) release() error {
	var errs []error
	if n.peers != nil {
		errs = append(errs, n.peers.Close())
	}
	if n.log != nil {
		errs = append(errs, n.log.Close())
	}
	if core := n.core.Load(); core != nil {
		errs = append(errs, core.Close())
	}
	if n.lock != nil {
		errs = append(errs, n.lock.Unlock())
	}
	return errors.Join(errs...)
}

// Await returns once this node may answer a read: it has applied position min,
// and, for a linearizable read, all that was acknowledged before the call.
func (n *Node) Await(ctx context.Context, linearizable bool, min event.Position) error {
	if err := n.notWhole(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(n.lifetime, func() {
		cancel(event.Errorf(event.CodeUnavailable, "the node is stopping"))
	})()
	if linearizable {
		index, err := n.leaderReadIndex(ctx)
		if err != nil {
			return n.readError(err)
		}
		if err := n.progress.wait(ctx, index); err != nil {
			return n.readError(context.Cause(ctx))
		}
	}
	for {
		changed := n.progress.watch()
		if n.core.Load().Meta().Mark.Last >= min {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return n.readError(context.Cause(ctx))
		}
	}
}

func (n *Node) readError(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return event.Errorf(event.CodeDeadlineExceeded, "the node has not applied what the read asks for in time")
	}
	var refused *event.Error
	if errors.As(err, &refused) {
		return n.nameLeader(refused)
	}
	return err
}

// ServerID returns the node's id in Raft's configuration.
func (n *Node) ServerID() string { return string(n.serverID) }

// Epoch returns the lineage of the cluster; zero until its first leader.
func (n *Node) Epoch() event.Epoch { return n.core.Load().Epoch() }

func (n *Node) coreConfig() CoreConfig {
	return CoreConfig{
		Machines:     n.cfg.Machines,
		FeatureLevel: n.cfg.FeatureLevel,
		HashInterval: n.cfg.HashInterval,
		SegmentBytes: n.cfg.SegmentBytes,
		Seam:         n.cfg.Seam,
		Logger:       n.cfg.Logger,
	}
}
