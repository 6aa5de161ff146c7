package consensus

import (
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
)

// The feature level of a cluster says which commands may be in its log. It is part
// of the state, begins at 1, and the leader raises it when every member, voter or
// not, has told that its binary applies more. So no node meets a command that it
// does not know, in whatever order nodes are upgraded; and a binary that is older
// than the level does not start.

// Leveled is a StateMachine some of whose operations are newer than level 1.
type Leveled interface {
	StateMachine
	// Level is the cluster's feature level from which on the operation may be
	// proposed.
	Level(op uint32) uint32
}

// level returns the feature level that an operation needs.
func (m *Mux) level(o op) uint32 {
	if machine, ok := m.find(o.number).(Leveled); ok {
		return machine.Level(o.number)
	}
	return 1
}

// tooOld is the error of a binary that the cluster has left behind.
func tooOld(cluster, binary uint32) error {
	return fmt.Errorf("%w: the cluster has feature level %d, this binary knows up to %d: run a newer one", ErrUndecodable, cluster, binary)
}

// FeatureCommit returns the commit that raises the cluster's feature level.
func FeatureCommit(level uint32, waiter uint64) []byte {
	return internalCommit(opFeature, wire.AppendUint(nil, 2, uint64(level)), waiter)
}

// raiseFeature executes feature. The level never goes down.
func (c *Core) raiseFeature(level uint64) error {
	if level > uint64(c.featureLevel) {
		return tooOld(uint32(level), c.featureLevel)
	}
	c.meta.Feature = max(c.meta.Feature, uint32(level))
	return nil
}

// FeatureLevel returns the cluster's feature level.
func (c *Core) FeatureLevel() uint32 { return c.published.Load().Feature }

// judgeFeature raises the cluster's level when all members can apply more. A
// member that is silent holds it where it is.
func (n *Node) judgeFeature(servers []raft.Server, reports map[raft.ServerID]report) {
	if !n.leads() || time.Since(n.raised) < pulseInterval {
		return
	}
	level := n.cfg.FeatureLevel
	for _, s := range servers {
		if s.ID == n.serverID {
			continue
		}
		r := reports[s.ID]
		if time.Since(r.at) > pulseFresh {
			return
		}
		level = min(level, r.feature)
	}
	if level <= n.core.Load().FeatureLevel() || n.isChanging() {
		return
	}
	n.raised = time.Now()
	n.logger.Info("raising the cluster's feature level", "level", level)
	n.submitInternal(func(waiter uint64) []byte { return FeatureCommit(level, waiter) }, n.logRefusal("raise the feature level"))
}

// isChanging reports whether a change of the members is under way, by which a node
// may come that has told nothing yet.
func (n *Node) isChanging() bool {
	view := n.View()
	defer view.Close()
	change, err := view.PendingChange()
	if err != nil {
		n.logger.Warn("the change of the members that is under way is not known", "error", err)
	}
	return change != nil || err != nil
}

// withinLevel refuses those of the items that need a newer level than the
// cluster's. That is done where they enter, by a node that knows them: the leader's
// binary may be older. Where the cluster has this binary's level, which is the
// rule, it is one comparison.
func (n *Node) withinLevel(items []queued) []queued {
	level := n.core.Load().FeatureLevel()
	if level >= n.cfg.FeatureLevel {
		return items
	}
	admitted := make([]queued, 0, len(items))
	var m commit
	for _, q := range items {
		if needed := n.neededLevel(&m, q.commit); needed > level {
			q.from.refused(q.index, event.Errorf(event.CodeInvalid,
				"the commit needs feature level %d and the cluster has %d, until every node runs a version that knows more", needed, level))
		} else {
			admitted = append(admitted, q)
		}
	}
	return admitted
}

func (n *Node) neededLevel(m *commit, b []byte) uint32 {
	if decodeSealed(m, b) != nil {
		return 1 // refused elsewhere
	}
	needed := uint32(1)
	for _, o := range m.ops {
		needed = max(needed, n.cfg.Machines.level(o))
	}
	return needed
}
