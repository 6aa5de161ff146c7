package consensus

import (
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// stepKind is one step of a change of the members: at most one entry of Raft's
// configuration.
type stepKind uint8

const (
	stepWait stepKind = iota
	stepAdd
	stepPromote
	stepRemoveOld
	stepHandOver
	stepEnd
)

var stepNames = [...]string{"wait", "add as non-voter", "promote to voter", "remove", "hand leadership over", "done"}

func (k stepKind) String() string { return stepNames[k] }

// step is what is to be done next. Of stepWait: why, and whether it is because a
// node that is needed does not answer.
type step struct {
	do    stepKind
	why   string
	stuck bool
}

// changeFacts is what the next step of a change depends on. All of it is seen
// anew before each step, so that it does not matter who took the last one.
type changeFacts struct {
	new, old    raft.ServerSuffrage // absent: not in the configuration
	newSilent   bool
	caughtUp    bool
	oldSilent   bool
	oldAnswers  bool // a new leader knows neither for a while
	oldLeads    bool
	voters      int    // now
	addLoses    string // why there would be no quorum with new as a voter
	removeLoses string // why there would be none without old
	force       bool
}

// nextStep decides how a change goes on.
//
// A replacement never makes the cluster tolerate fewer failures than before:
// a silent old member tolerates none, so it goes before the new one votes (with
// both, one more would have to answer); one that answers goes afterwards.
func nextStep(kind ChangeKind, f changeFacts) step {
	if kind == ChangeRemove {
		return removeStep(f)
	}
	switch f.new {
	case absent:
		return step{do: stepAdd}
	case raft.Voter:
		if kind == ChangeJoin {
			return step{do: stepEnd}
		}
		return removeStep(f)
	}
	switch {
	case f.newSilent:
		return step{why: "the new node does not answer", stuck: true}
	case !f.caughtUp:
		return step{why: "the new node is catching up"}
	case f.old == raft.Voter && !f.oldSilent && !f.oldAnswers:
		return step{why: "whether the old node answers is not known yet"}
	case f.old == raft.Voter && f.oldSilent && f.voters > 1 && f.removeLoses == "":
		return step{do: stepRemoveOld}
	case f.addLoses != "":
		return step{why: fmt.Sprintf("another voter would leave no quorum: %s", f.addLoses), stuck: true}
	}
	return step{do: stepPromote}
}

func removeStep(f changeFacts) step {
	switch {
	case f.old == absent:
		return step{do: stepEnd}
	case f.old == raft.Voter && f.voters == 1:
		return step{why: "it is the last voter", stuck: true}
	case f.removeLoses != "" && !f.force:
		return step{why: fmt.Sprintf("its removal would leave no quorum: %s", f.removeLoses), stuck: true}
	case f.oldLeads:
		return step{do: stepHandOver}
	}
	return step{do: stepRemoveOld}
}

// catchUp tells when a node has caught up: when all that the log held at one
// look is stored on it within the time of an election. What comes meanwhile it
// will then have nearly at once; as a voter it does not hold commits back.
type catchUp struct {
	target uint64 // 0: no look yet
	began  time.Time
}

func (c *catchUp) reached(match, last uint64, now time.Time, within time.Duration) bool {
	if c.target != 0 && match < c.target {
		return false
	}
	caught := c.target != 0 && now.Sub(c.began) <= within
	if !caught {
		c.target, c.began = last, now
	}
	return caught
}
