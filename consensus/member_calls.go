package consensus

import (
	"context"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
)

// RemoveMember takes a member out of the cluster for good, called by its name or
// server id, and returns its server id when that is done. It is refused with
// check_failed where the quorum would be lost by it, unless forced, and with
// unavailable while another change is under way. When the context ends before,
// the change goes on.
func (n *Node) RemoveMember(ctx context.Context, server string, force bool) (string, error) {
	r, err := n.askLeader(ctx, memberRequest{Op: memberRemove, Server: server, Force: force})
	if err != nil || r.Number == 0 {
		return r.Server, err
	}
	return r.Server, n.awaitChange(ctx, r.Number)
}

// ExpectReplacement lets the next node of a name, by default the same, join in
// the place of a member, whose server id is returned. It may be repeated.
func (n *Node) ExpectReplacement(ctx context.Context, server, name string) (string, error) {
	r, err := n.askLeader(ctx, memberRequest{Op: memberExpect, Server: server, Name: name})
	return r.Server, err
}

// ForgetReplacement takes ExpectReplacement back, as long as the node has not
// come.
func (n *Node) ForgetReplacement(ctx context.Context, server, name string) (string, error) {
	r, err := n.askLeader(ctx, memberRequest{Op: memberForget, Server: server, Name: name})
	return r.Server, err
}

func (n *Node) askLeader(ctx context.Context, q memberRequest) (memberReply, error) {
	r := n.raft.Load()
	if r == nil {
		return memberReply{}, event.Errorf(event.CodeUnavailable, "the node is starting")
	}
	_, leader := r.LeaderWithID()
	if leader == "" {
		return memberReply{}, event.Errorf(event.CodeUnavailable, "no leader is known")
	}
	return n.askMember(ctx, raft.ServerID(leader), q)
}

// awaitChange returns when a change that was begun has ended, as far as this node
// has applied.
func (n *Node) awaitChange(ctx context.Context, number uint64) error {
	for {
		changed := n.progress.watch()
		v := n.View()
		ended, reason, err := v.lastChange()
		v.Close()
		switch {
		case err != nil:
			return err
		case ended == number && reason != "":
			return event.Errorf(event.CodeCheckFailed, "given up: %s", reason)
		case ended >= number:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return event.Errorf(event.CodeDeadlineExceeded, "the change goes on, it has not ended yet: %v", ctx.Err())
		case <-n.closing:
			return event.Errorf(event.CodeUnavailable, "the node is stopping")
		}
	}
}
