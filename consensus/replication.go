package consensus

import (
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// replicationPatience is how long a member may answer heartbeats without getting
// any further in the log before a person has to look.
const replicationPatience = 10 * time.Second

// followers are how the leader sees the members' logs grow. Raft replicates to
// each member in a goroutine of its own beside its heartbeats: one that is stuck
// goes unnoticed as long as a majority is reached without it, and the next failure
// of another node stops the cluster. Only pulseLoop uses it.
type followers struct {
	byMember map[raft.ServerID]matched
}

// matched is how far a member's log was when it last got further.
type matched struct {
	match  uint64
	behind uint64 // the commit index then, which it has to reach
	since  time.Time
}

const replicationAlarm = "replication to " // and a server id

// judgeReplication raises an alarm for each member that answers and yet does not
// get the log. A member that does not answer is down, which is no such riddle.
func (n *Node) judgeReplication(r *raft.Raft, servers []raft.Server) {
	if r.State() != raft.Leader {
		n.followers.byMember = nil
		n.alarms.clearOthers(replicationAlarm, nil)
		return
	}
	now, commit := time.Now(), r.CommitIndex()
	// While a snapshot is on its way the log waits for it.
	waits := n.logHeld()
	var stuck []string
	members := make(map[raft.ServerID]matched, len(servers))
	for _, s := range servers {
		if s.ID == n.serverID {
			continue
		}
		m, known := n.followers.byMember[s.ID]
		match := n.peers.Match(s.ID)
		if !known || waits || match != m.match || match >= m.behind {
			m = matched{match, commit, now}
		}
		members[s.ID] = m
		answers := now.Sub(n.peers.LastAck(s.ID)) < pulseFresh
		if !answers || now.Sub(m.since) < replicationPatience {
			continue
		}
		subject := replicationAlarm + string(s.ID)
		stuck = append(stuck, subject)
		n.alarms.raise(subject, fmt.Sprintf("%s answers heartbeats, but its log has stood at entry %d of %d for %v",
			s.ID, match, commit, now.Sub(m.since).Round(time.Second)))
	}
	n.followers.byMember = members
	n.alarms.clearOthers(replicationAlarm, stuck)
}
