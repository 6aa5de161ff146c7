package consensus

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// MaxClockSkew is how far a node's clock may be from the cluster's time before
	// a person has to look.
	MaxClockSkew = 500 * time.Millisecond
	// An alarm ends when the clock is this near again.
	clockSkewOver = 400 * time.Millisecond
	// A clock that was read with a larger error than this is not used.
	maxClockError = 250 * time.Millisecond
	// A clock that was read this long ago is not used. Between two readings it is
	// assumed to go on as this node's monotonic clock does, which for this long
	// is exact to milliseconds; so a node that restarts keeps its vote.
	maxClockAge = time.Minute
	// How long a new leader waits for a majority of the clocks, and for all.
	clockPatience     = time.Second
	allClocksPatience = 250 * time.Millisecond
	askClocksAgain    = 50 * time.Millisecond
)

// clocks know what time it is in the cluster: the median of its nodes' clocks, of
// two the earlier, of one its own. So a clock that is wrong on a minority neither
// jumps ahead nor holds back what the others agree on.
//
// Of each other node an anchor is kept: its clock less this node's monotonic
// clock, as of one moment. Its clock now is the anchor and the monotonic clock
// now. This node's own clock is read anew each time. A jump of it is therefore
// outvoted at once, and the other clocks do not jump with it.
type clocks struct {
	own   func() time.Time
	began time.Time               // the monotonic clock counts from here
	peers atomic.Pointer[[]int64] // anchors of the other nodes, in nanoseconds
}

func newClocks(own func() time.Time) *clocks {
	c := &clocks{own: own, began: time.Now()}
	c.peers.Store(new([]int64))
	return c
}

// elapsed is the monotonic clock, in nanoseconds.
func (c *clocks) elapsed() int64 { return int64(time.Since(c.began)) }

// now returns the time of the cluster in nanoseconds since 1970. It may go back.
func (c *clocks) now() int64 {
	var room [8]int64 // no allocation
	list, elapsed := append(room[:0], c.own().UnixNano()), c.elapsed()
	for _, anchor := range *c.peers.Load() {
		list = append(list, anchor+elapsed)
	}
	return median(list)
}

// median sorts the list; of an even number it takes the earlier of the two in
// the middle.
func median(list []int64) int64 {
	slices.Sort(list)
	return list[(len(list)-1)/2]
}

// judgeClocks takes the voters' clocks over and raises an alarm for each that is
// wrong, this node's included.
func (n *Node) judgeClocks(servers []raft.Server, reports map[raft.ServerID]report) {
	now := time.Now()
	var anchors []int64
	for _, s := range servers {
		if r, ok := reports[s.ID]; ok && s.Suffrage == raft.Voter && r.knowsClock(now) {
			anchors = append(anchors, r.anchor)
		}
	}
	n.clocks.peers.Store(&anchors)
	var subjects []string
	for _, s := range servers {
		skew, known := n.clockSkew(s.ID, reports, now)
		subject := clockAlarm + string(s.ID)
		subjects = append(subjects, subject)
		switch {
		case known && skew.Abs() > MaxClockSkew:
			n.alarms.raise(subject, fmt.Sprintf("the clock of %s is off by %v", s.ID, skew.Round(time.Millisecond)))
		case known && skew.Abs() < clockSkewOver:
			n.alarms.clear(subject)
		}
	}
	n.alarms.clearOthers(clockAlarm, subjects)
}

const clockAlarm = "clock of " // and a server id

// knowsClock reports whether the member's clock was read lately.
func (r *report) knowsClock(now time.Time) bool {
	return !r.clockAt.IsZero() && now.Sub(r.clockAt) < maxClockAge
}

// clockSkew is how far a member's clock is ahead of the cluster's time.
func (n *Node) clockSkew(member raft.ServerID, reports map[raft.ServerID]report, now time.Time) (skew time.Duration, known bool) {
	if member == n.serverID {
		return time.Duration(n.clocks.own().UnixNano() - n.clocks.now()), true
	}
	r, ok := reports[member]
	if !ok || !r.knowsClock(now) {
		return 0, false
	}
	return time.Duration(r.anchor + n.clocks.elapsed() - n.clocks.now()), true
}

// awaitClocks lets a new leader read the voters' clocks before it stamps anything:
// stamps never go back, so that one from a clock that is ahead would hold for as
// long as it is ahead. As a rule they are known already, from the exchange while
// it followed. It waits for all for a moment, and for a majority, its own included,
// for longer.
func (n *Node) awaitClocks(r *raft.Raft) {
	began := time.Now()
	n.pulseSoon()
	for r.State() == raft.Leader {
		news := n.reports.watch()
		servers := r.GetConfiguration().Configuration().Servers
		reports := n.reports.all()
		voters, known := n.countClocks(servers, reports)
		patience := clockPatience
		if known > voters/2 {
			patience = allClocksPatience
		}
		n.judgeClocks(servers, reports)
		left := patience - time.Since(began)
		if known == voters || left <= 0 {
			n.logger.Info("leading with clocks", "known", known, "voters", voters)
			return
		}
		select {
		case <-news:
		case <-time.After(min(left, askClocksAgain)):
			n.pulseSoon()
		case <-n.closing:
			return
		}
	}
}

// countClocks counts the voters, and those whose clock is known.
func (n *Node) countClocks(servers []raft.Server, reports map[raft.ServerID]report) (voters, known int) {
	for _, s := range servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		voters++
		if r, ok := reports[s.ID]; s.ID == n.serverID || ok && r.knowsClock(time.Now()) {
			known++
		}
	}
	return voters, known
}
