package consensus

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
)

const (
	// The default reserve is this, or a twentieth of the disk where that is less.
	maxDiskReserve      = 512 << 20
	diskReserveFraction = 20
	diskMarginFraction  = 8
	// How often a leader without space tries to hand leadership over before it
	// refuses writes for good.
	handOverTries = 3
)

// diskSpace is how much room the data directory's file system has, in bytes.
type diskSpace struct {
	free, total uint64 // total 0: unknown
	reserve     uint64
	tight       bool // the reserve was gone, and is not back with the margin
}

// low reports whether the reserve is gone, or has hardly come back.
func (d diskSpace) low() bool { return d.total > 0 && (d.free < d.reserve || d.tight) }

// shortage says what a low disk lacks.
func (d diskSpace) shortage() string {
	if d.free < d.reserve {
		return fmt.Sprintf("below its reserve of %d MiB", d.reserve>>20)
	}
	return fmt.Sprintf("its reserve of %d MiB was gone and counts again from %d MiB on", d.reserve>>20, d.enoughAgain()>>20)
}

// enoughAgain is how much must be free for a reserve that was gone to count again.
// Without a margin a few truncated files would let writes in for a second, over
// and over, and the leadership move between nodes that are all about full.
func (d diskSpace) enoughAgain() uint64 { return d.reserve + d.reserve/diskMarginFraction }

// measureDisk looks how much room there is.
func (n *Node) measureDisk() {
	free, total, err := n.cfg.DiskSpace()
	if err != nil {
		n.alarms.raise(diskAlarm, fmt.Sprintf("the free space of %s is not known: %v", n.serverID, err))
		return // what was known last holds
	}
	n.alarms.clear(diskAlarm)
	reserve := n.cfg.DiskReserve
	if reserve == 0 {
		reserve = min(maxDiskReserve, total/diskReserveFraction)
	}
	d := diskSpace{free: free, total: total, reserve: reserve}
	d.tight = n.disk.Load().low() && free < d.enoughAgain()
	n.disk.Store(&d)
}

const (
	diskAlarm  = "measuring the disk"
	spaceAlarm = "disk of " // and a server id
)

// spaceOf is how the disks of the voters are.
type spaceOf struct {
	voters  int
	keeping []raft.Server // those known to keep their reserve, this node aside
	self    bool          // this node keeps its own
	low     []string      // those who do not, each with its numbers
}

// judgeSpace decides whether writes are admitted here. A full disk stops a node
// for good, and with a majority of them the cluster; so writes end while fewer
// than a majority of the voters, the leader among them, keep their reserve. The
// reserve is what truncation of the log, snapshots, retention and the cluster's
// own commands go on with.
//
// Nobody is low: nothing is refused, whoever may be unreachable, for that is
// Raft's to decide. Where somebody is, a voter that is silent does not count as
// one that has space.
func (n *Node) judgeSpace(servers []raft.Server, reports map[raft.ServerID]report) {
	space := n.space(servers, reports)
	if !n.leads() {
		n.handOvers = 0
	}
	switch {
	case len(space.low) == 0, space.self && space.enough():
		n.noSpace.Store(nil)
		n.handOvers = 0
	case !space.self && space.enough() && n.handOvers < handOverTries:
		n.noSpace.Store(event.Errorf(event.CodeUnavailable, "the leader hands over to a node with free disk space: %s", space))
		if n.leads() && time.Since(n.handedOver) >= pulseInterval {
			n.handOverTo(space.keeping[n.handOvers%len(space.keeping)])
			n.handOvers, n.handedOver = n.handOvers+1, time.Now()
		}
	default:
		n.noSpace.Store(event.Errorf(event.CodeNoSpace, "too little disk space, writes are refused until there is more: %s", space))
	}
}

// enough reports whether a majority of the voters keeps its reserve: this node
// among them, or without it.
func (s *spaceOf) enough() bool {
	keeping := len(s.keeping)
	if s.self {
		keeping++
	}
	return keeping > s.voters/2
}

// String says who has too little.
func (s *spaceOf) String() string { return strings.Join(s.low, "; ") }

// space counts the voters that keep their reserve, and raises the alarms of those
// members that do not.
func (n *Node) space(servers []raft.Server, reports map[raft.ServerID]report) *spaceOf {
	s := &spaceOf{self: !n.disk.Load().low()}
	now := time.Now()
	var subjects []string
	for _, server := range servers {
		r := reports[server.ID]
		disk, fresh := r.disk, now.Sub(r.at) < pulseFresh
		if server.ID == n.serverID {
			disk, fresh = *n.disk.Load(), true
		}
		if disk.low() {
			what := fmt.Sprintf("%s has %d MiB free, %s", server.ID, disk.free>>20, disk.shortage())
			subject := spaceAlarm + string(server.ID)
			subjects = append(subjects, subject)
			n.alarms.raise(subject, what)
			if server.Suffrage == raft.Voter {
				s.low = append(s.low, what)
			}
		}
		if server.Suffrage != raft.Voter {
			continue
		}
		s.voters++
		if server.ID != n.serverID && fresh && !disk.low() {
			s.keeping = append(s.keeping, server)
		}
	}
	n.alarms.clearOthers(spaceAlarm, subjects)
	// One whose disk stalls is the last to hand leadership to.
	slices.SortStableFunc(s.keeping, func(a, b raft.Server) int {
		return boolOrder(reports[a.ID].stalled) - boolOrder(reports[b.ID].stalled)
	})
	return s
}

func boolOrder(b bool) int {
	if b {
		return 1
	}
	return 0
}

// handOverTo moves leadership to a voter whose disk has room. Raft waits for one
// election timeout at most; meanwhile the exchange goes on.
func (n *Node) handOverTo(to raft.Server) {
	if !n.beginTask() {
		return
	}
	go func() {
		defer n.tasks.Done()
		n.logger.Warn("handing leadership over, since this disk has too little space", "to", to.ID)
		if err := n.raft.Load().LeadershipTransferToServer(to.ID, to.Address).Error(); err != nil {
			n.logger.Warn("leadership was not handed over", "to", to.ID, "error", err)
		}
	}()
}

// withSpace refuses those of the items that need space where there is too little,
// before they are proposed, and returns the others: what ends and deletes, and
// the cluster's own. Without low disks it is one atomic load.
func (n *Node) withSpace(items []queued) []queued {
	refusal := n.noSpace.Load()
	if refusal == nil {
		return items
	}
	admitted := make([]queued, 0, len(items))
	var m commit
	for _, q := range items {
		if _, err := m.decode(q.commit, math.MaxInt); err == nil && !q.own && n.cfg.Machines.storing(&m) {
			q.from.refused(q.index, refusal)
		} else {
			admitted = append(admitted, q)
		}
	}
	return admitted
}

// Sparing is a StateMachine some of whose operations go on while disks are full,
// since they end what is kept, or keep no more than they replace.
type Sparing interface {
	StateMachine
	Spares(op uint32) bool
}

// storing reports whether a commit adds to what the cluster keeps. Sessions may be
// opened: they are small, bounded in number, and a client that is refused an
// append wants to learn that under one.
func (m *Mux) storing(c *commit) bool {
	return slices.ContainsFunc(c.ops, func(o op) bool {
		if o.number < opMachineFirst || o.number > opMachineLast {
			return o.number == opAppend
		}
		machine, ok := m.find(o.number).(Sparing)
		return !ok || !machine.Spares(o.number)
	})
}
