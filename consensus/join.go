package consensus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
)

// joinAgain is how often a node that was accepted, but does not vote yet and hears
// of no leader, asks again: the change may have been given up meanwhile.
const joinAgain = time.Second

// requestJoin asks the cluster once to take this node in. An empty why says that
// it will, or has; an error, that it never will.
//
// Who leads is asked, through whatever members answer. What those that follow, and
// this node itself, know of the members may be old.
func (n *Node) requestJoin() (why string, err error) {
	why, known := "no member of the cluster answers", false
	asked := map[string]bool{"": true}
	for _, address := range n.seeds() {
		in, err := n.introduceAt(address)
		if err != nil || in.ServerID == string(n.serverID) {
			continue
		}
		if in.Feature > n.cfg.FeatureLevel {
			return "", tooOld(in.Feature, n.cfg.FeatureLevel)
		}
		if in.Removed {
			return "", fmt.Errorf("%w: %s says so of %s; to come back as a new one, empty the data directory", ErrRemoved, in.ServerID, n.serverID)
		}
		if known = known || in.knows(n.serverID); len(asked) == 1 {
			why = "the cluster has no leader"
		}
		if asked[in.Leader] {
			continue
		}
		asked[in.Leader] = true
		if why, err = n.askToJoin(raft.ServerID(in.Leader)); err != nil || why == "" {
			return why, err
		}
	}
	if known {
		return "", nil // without a leader: it may be this node that is needed to have one
	}
	return why, nil
}

// askToJoin asks who leads.
func (n *Node) askToJoin(leader raft.ServerID) (why string, err error) {
	ctx, cancel := context.WithTimeout(n.lifetime, answerPatience)
	defer cancel()
	q := memberRequest{
		Op: memberJoin, Server: string(n.serverID), Address: n.cfg.RaftAdvertise, Replace: n.cfg.Replace, Feature: n.cfg.FeatureLevel,
	}
	if epoch := n.core.Load().Meta().Epoch; !epoch.IsZero() {
		q.Epoch = epoch.String()
	}
	_, err = n.askMember(ctx, leader, q)
	return joinVerdict(err)
}

// joinVerdict tells what can change by waiting from what cannot.
func joinVerdict(err error) (why string, final error) {
	var refused *event.Error
	if err == nil || !errors.As(err, &refused) {
		return textOf(err), nil
	}
	switch refused.Code {
	case event.CodeExists:
		return "", fmt.Errorf("%w: %w", ErrForeignDisk, err)
	case event.CodeDenied:
		return "", fmt.Errorf("%w: %w", ErrRemoved, err)
	case event.CodeInvalid, event.CodeNotFound:
		return "", fmt.Errorf("join the cluster: %w", err)
	}
	return err.Error(), nil
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// seeds are the raft addresses to ask.
func (n *Node) seeds() []string {
	found := n.addresses.all(nil)
	if n.cfg.Seeds != nil {
		found = append(n.cfg.Seeds(n.lifetime), found...)
	}
	return found
}

// keepJoining asks until this node votes, as far as it knows, whenever it hears of
// no leader: one that counts this node a member sends to it. A node that was silent
// for long on its way in was given up, which nobody could tell it.
func (n *Node) keepJoining() error {
	told := ""
	for !n.votes() {
		select {
		case <-time.After(joinAgain):
		case <-n.closing:
			return nil
		}
		if _, leader := n.raft.Load().LeaderWithID(); leader != "" {
			continue
		}
		why, err := n.requestJoin()
		if err != nil {
			return err
		}
		if why != "" && why != told {
			n.logger.Info("waiting to be taken in", "reason", why)
			told = why
		}
	}
	return nil
}

// votes reports whether this node is a voter of the configuration that it knows.
func (n *Node) votes() bool {
	for _, s := range n.raft.Load().GetConfiguration().Configuration().Servers {
		if s.ID == n.serverID {
			return s.Suffrage == raft.Voter
		}
	}
	return false
}
