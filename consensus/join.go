package consensus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
)

// joinAgain is how often a node that was accepted, but is not a member yet, asks
// again: the change may have been given up meanwhile.
const joinAgain = time.Second

// requestJoin asks the cluster once to take this node in. An empty why says that
// it will, or has; an error, that it never will.
func (n *Node) requestJoin() (why string, err error) {
	leader, why := raft.ServerID(""), "no member of the cluster answers"
	for _, address := range n.seeds() {
		in, err := n.introduceAt(address)
		if err != nil {
			continue
		}
		if in.Feature > n.cfg.FeatureLevel {
			return "", tooOld(in.Feature, n.cfg.FeatureLevel)
		}
		if in.Removed {
			return "", fmt.Errorf("%w: %s says so of %s; to come back as a new one, empty the data directory", ErrRemoved, in.ServerID, n.serverID)
		}
		if in.knows(n.serverID) {
			return "", nil
		}
		if leader = raft.ServerID(in.Leader); leader != "" {
			break
		}
		why = "the cluster has no leader"
	}
	if leader == "" {
		return why, nil
	}
	ctx, cancel := context.WithTimeout(n.lifetime, answerPatience)
	defer cancel()
	_, err = n.askMember(ctx, leader, memberRequest{
		Op: memberJoin, Server: string(n.serverID), Address: n.cfg.RaftAdvertise, Replace: n.cfg.Replace, Feature: n.cfg.FeatureLevel,
	})
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

// keepJoining asks until this node is in the configuration, as far as it knows.
// Every other node is already.
func (n *Node) keepJoining() error {
	told := ""
	for n.cfg.Seeds != nil && !n.isMember() {
		why, err := n.requestJoin()
		if err != nil {
			return err
		}
		if why != "" && why != told {
			n.logger.Info("waiting to be taken in", "reason", why)
			told = why
		}
		select {
		case <-time.After(joinAgain):
		case <-n.closing:
			return nil
		}
	}
	return nil
}

// isMember reports whether this node is in the configuration that it knows.
func (n *Node) isMember() bool {
	for _, s := range n.raft.Load().GetConfiguration().Configuration().Servers {
		if s.ID == n.serverID {
			return true
		}
	}
	return false
}
