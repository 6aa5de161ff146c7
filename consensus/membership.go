package consensus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

const (
	changeInterval = 100 * time.Millisecond // between looks at the change under way
	// A change that cannot go on for this long, since a node it needs is silent, is
	// given up, so that another can begin.
	changePatience = time.Minute
)

// driver carries changes of the members on while this node leads. What it holds
// is of one term and may be lost: the change itself is in the state, and how far
// it has got is in Raft's configuration.
type driver struct {
	node    *Node
	term    uint64
	since   time.Time // when this node was first seen leading in term
	number  uint64    // of the change
	stuck   time.Time // since when it could not go on; zero: it can
	catchUp catchUp
	told    string
}

// driveChanges is the goroutine of the driver.
func (n *Node) driveChanges() {
	defer n.tasks.Done()
	ticker := time.NewTicker(changeInterval)
	defer ticker.Stop()
	d := driver{node: n}
	for {
		select {
		case <-ticker.C:
			if err := d.tick(); err != nil && n.lifetime.Err() == nil {
				n.logger.Info("change of the members is tried again", "error", err)
			}
		case <-n.closing:
			return
		}
	}
}

func (d *driver) tick() error {
	n := d.node
	if !n.leads() {
		d.term = 0
		return nil
	}
	if term := n.raft.Load().CurrentTerm(); term != d.term {
		*d = driver{node: n, term: term, since: time.Now()}
	}
	v := n.View()
	pending, err := v.PendingChange()
	v.Close()
	if err != nil || pending == nil {
		return err
	}
	if pending.Number != d.number {
		*d = driver{node: n, term: d.term, since: d.since, number: pending.Number}
	}
	known, err := n.knownMembers()
	if err != nil {
		return err
	}
	if known.pending == nil || known.pending.Number != d.number {
		return nil
	}
	return d.take(*known.pending, known, d.decide(*known.pending, known))
}

// silent reports whether a server has not answered for a while. A new leader
// does not know that at once: neither is it known to be silent, nor to answer.
func (d *driver) silent(id raft.ServerID) (silent, answers bool) {
	if id == d.node.serverID {
		return false, true
	}
	answers = time.Since(d.node.peers.LastAck(id)) < deadAfter
	return !answers && time.Since(d.since) > deadAfter, answers
}

// decide gathers the facts and decides the next step.
func (d *driver) decide(c Change, known knownMembers) step {
	n := d.node
	newID, oldID := raft.ServerID(c.New), raft.ServerID(c.Old)
	f := changeFacts{
		new: known.suffrage(newID), old: known.suffrage(oldID), oldLeads: oldID == n.serverID,
		voters: voters(known.servers), force: c.Force,
	}
	f.oldSilent, f.oldAnswers = d.silent(oldID)
	if f.new == raft.Nonvoter {
		f.newSilent, _ = d.silent(newID)
		f.caughtUp = d.catchUp.reached(n.peers.Match(newID), n.raft.Load().LastIndex(), time.Now(), n.cfg.ElectionTimeout)
		f.addLoses = n.losesQuorum(known.with(newID))
	}
	if f.old != absent {
		f.removeLoses = n.losesQuorum(known.without(oldID))
	}
	return nextStep(c.Kind, f)
}

// take carries out one step. A step whose outcome is not known is seen from the
// configuration at the next look.
func (d *driver) take(c Change, known knownMembers, s step) error {
	n, r := d.node, d.node.raft.Load()
	if s.do != stepWait {
		d.stuck = time.Time{}
		n.logger.Info("change of the members", "change", c.String(), "step", s.do.String())
	}
	newID, oldID := raft.ServerID(c.New), raft.ServerID(c.Old)
	switch s.do {
	case stepAdd:
		return d.configure(r.AddNonvoter(newID, raft.ServerAddress(newID), known.index, enqueueTimeout))
	case stepPromote:
		return d.configure(r.AddVoter(newID, raft.ServerAddress(newID), known.index, enqueueTimeout))
	case stepRemoveOld:
		return d.configure(r.RemoveServer(oldID, known.index, enqueueTimeout))
	case stepHandOver:
		ctx, cancel := context.WithTimeout(n.lifetime, 2*time.Second)
		defer cancel()
		n.HandOver(ctx)
		return nil
	case stepEnd:
		return d.end(c, known, "")
	}
	return d.wait(c, known, s)
}

// wait is told why the change cannot go on, and gives it up after a while.
func (d *driver) wait(c Change, known knownMembers, s step) error {
	if s.why != d.told {
		d.told = s.why
		d.node.logger.Info("change of the members waits", "change", c.String(), "for", s.why)
	}
	if !s.stuck {
		d.stuck = time.Time{}
		return nil
	}
	if d.stuck.IsZero() {
		d.stuck = time.Now()
	}
	if time.Since(d.stuck) < changePatience {
		return nil
	}
	if id := raft.ServerID(c.New); known.suffrage(id) == raft.Nonvoter {
		if err := d.configure(d.node.raft.Load().RemoveServer(id, known.index, enqueueTimeout)); err != nil {
			return err
		}
	}
	return d.end(c, known, s.why)
}

func (d *driver) configure(future raft.IndexFuture) error {
	if err := await(future, d.node.dead); err != nil && !errors.Is(err, raft.ErrNotLeader) {
		return fmt.Errorf("change configuration: %w", err)
	}
	return nil
}

// end records that a change is over: done, or given up for a reason.
func (d *driver) end(c Change, known knownMembers, reason string) error {
	n := d.node
	removed := ""
	if known.suffrage(raft.ServerID(c.Old)) == absent {
		removed = c.Old
	}
	if reason != "" {
		n.logger.Warn("change of the members is given up", "change", c.String(), "reason", reason)
	}
	ctx, cancel := context.WithTimeout(n.lifetime, answerPatience)
	defer cancel()
	return n.commitInternal(ctx, func(waiter uint64) []byte { return EndChangeCommit(c.Number, removed, reason, waiter) })
}
