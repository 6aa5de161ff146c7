package consensus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
)

// What a node asks the leader about members, as JSON in a request of kindMembers.
type memberRequest struct {
	Op      string `json:"op"`                // one of the following
	Server  string `json:"server"`            // name or server id
	Address string `json:"address,omitempty"` // join: raft address
	Replace string `json:"replace,omitempty"` // join: name or server id of the one that goes
	Feature uint32 `json:"feature,omitempty"` // join: the newest level that its binary applies
	Epoch   string `json:"epoch,omitempty"`   // join: of the state that it has; empty: it has none
	Name    string `json:"name,omitempty"`    // expect: of the node that is to come; empty: the same
	Force   bool   `json:"force,omitempty"`   // remove: even if the quorum is lost
}

const (
	memberJoin   = "join"
	memberRemove = "remove"
	memberExpect = "expect"
	memberForget = "forget" // take an expectation back
)

// memberReply is the leader's answer.
type memberReply struct {
	Server string `json:"server,omitempty"` // the server id that was meant
	Number uint64 `json:"number,omitempty"` // of the change that was begun; 0: nothing was to do
}

// askMember sends a request about members to the leader, which may be this node.
func (n *Node) askMember(ctx context.Context, leader raft.ServerID, q memberRequest) (memberReply, error) {
	if leader == n.serverID {
		return n.changeMembers(ctx, q)
	}
	payload, err := json.Marshal(q)
	if err != nil {
		return memberReply{}, fmt.Errorf("encode request: %w", err)
	}
	type outcome struct {
		reply []byte
		err   error
	}
	done := make(chan outcome, 1)
	n.peers.Go(leader, kindMembers, payload, func(reply []byte, err error) { done <- outcome{reply, err} })
	select {
	case got := <-done:
		if got.err != nil {
			return memberReply{}, event.Errorf(event.CodeUnavailable, "ask the leader: %v", got.err)
		}
		return parseMemberReply(got.reply)
	case <-ctx.Done():
		return memberReply{}, event.Errorf(event.CodeUnavailable, "ask the leader: %v", ctx.Err())
	}
}

func parseMemberReply(b []byte) (memberReply, error) {
	if len(b) == 0 {
		return memberReply{}, errBadReply
	}
	if b[0] == replyError {
		refused, err := event.DecodeError(b[1:])
		if err != nil {
			return memberReply{}, fmt.Errorf("decode error: %w", err)
		}
		return memberReply{}, refused
	}
	var r memberReply
	if err := json.Unmarshal(b[1:], &r); err != nil {
		return memberReply{}, fmt.Errorf("decode reply: %w", err)
	}
	return r, nil
}

func (n *Node) serveMembers(payload []byte, reply func([]byte)) {
	ctx, cancel := context.WithTimeout(n.lifetime, answerPatience)
	defer cancel()
	var q memberRequest
	if err := json.Unmarshal(payload, &q); err != nil {
		reply(errorReply(event.Errorf(event.CodeInvalid, "request about members: %v", err)))
		return
	}
	r, err := n.changeMembers(ctx, q)
	var b []byte
	if err == nil {
		b, err = json.Marshal(r)
	}
	var refused *event.Error
	switch {
	case errors.As(err, &refused):
		reply(errorReply(refused))
		return
	case err != nil:
		reply(errorReply(event.Errorf(event.CodeInternal, "%v", err)))
		return
	}
	reply(append([]byte{replyOK}, b...))
}

// changeMembers begins a change as the leader. A repeat finds it under way, or
// done.
func (n *Node) changeMembers(ctx context.Context, q memberRequest) (memberReply, error) {
	if !n.leads() {
		return memberReply{}, event.Errorf(event.CodeNotLeader, "this node does not lead")
	}
	known, err := n.knownMembers()
	if err != nil {
		return memberReply{}, err
	}
	switch q.Op {
	case memberJoin:
		return n.beginJoin(ctx, known, q)
	case memberRemove:
		return n.beginRemove(ctx, known, q)
	case memberExpect, memberForget:
		return n.setExpectation(ctx, known, q)
	}
	return memberReply{}, event.Errorf(event.CodeInvalid, "unknown request %q about members", q.Op)
}

func (n *Node) beginJoin(ctx context.Context, known knownMembers, q memberRequest) (memberReply, error) {
	id := raft.ServerID(q.Server)
	if level := n.core.Load().FeatureLevel(); q.Feature < level {
		// It learns so when it introduces itself next, and stops.
		return memberReply{}, event.Errorf(event.CodeUnavailable, "the cluster has feature level %d, the binary of %s knows up to %d", level, id, q.Feature)
	}
	if epoch := n.core.Load().Meta().Epoch.String(); q.Epoch != "" && q.Epoch != epoch {
		return memberReply{}, event.Errorf(event.CodeInvalid, "%s has the history of epoch %s, this cluster is of %s; to join, empty its data directory", id, q.Epoch, epoch)
	}
	if known.removed[q.Server] {
		return memberReply{}, event.Errorf(event.CodeDenied, "%s was removed; to come back as a new one, empty its data directory", id)
	}
	if known.pending != nil && known.pending.New == q.Server || known.suffrage(id) == raft.Voter {
		return memberReply{Server: q.Server}, nil
	}
	change := Change{Kind: ChangeJoin, New: q.Server, Address: q.Address}
	old := q.Replace
	if old == "" {
		old = known.expected[nodeName(id)]
	}
	switch at, err := known.find(old); {
	case old == "":
	case err == nil:
		change.Kind, change.Old = ChangeReplace, string(at)
	case known.gone(old) == "":
		return memberReply{}, err
	}
	for _, s := range known.servers {
		if s.ID != id && nodeName(s.ID) == nodeName(id) && string(s.ID) != change.Old {
			return memberReply{}, event.Errorf(event.CodeExists, "there is a node %s already; if its disk is gone for good, run 'edri cluster replace %s' and start this node again",
				s.ID, nodeName(id))
		}
	}
	return n.begin(ctx, change, q.Server)
}

func (n *Node) beginRemove(ctx context.Context, known knownMembers, q memberRequest) (memberReply, error) {
	id, err := known.find(q.Server)
	if err != nil {
		if gone := known.gone(q.Server); gone != "" {
			return memberReply{Server: gone}, nil // by an earlier call
		}
		return memberReply{}, err
	}
	if known.pending != nil && known.pending.Kind == ChangeRemove && known.pending.Old == string(id) {
		return memberReply{Server: string(id), Number: known.pending.Number}, nil
	}
	rest := known.without(id)
	if voters(rest) == 0 {
		return memberReply{}, event.Errorf(event.CodeCheckFailed, "%s is the last voter", id)
	}
	if why := n.losesQuorum(rest); why != "" && !q.Force {
		return memberReply{}, event.Errorf(event.CodeCheckFailed, "without %s the cluster has no quorum: %s", id, why)
	}
	return n.begin(ctx, Change{Kind: ChangeRemove, Old: string(id), Force: q.Force}, string(id))
}

func (n *Node) setExpectation(ctx context.Context, known knownMembers, q memberRequest) (memberReply, error) {
	id, err := known.find(q.Server)
	if err != nil {
		return memberReply{}, err
	}
	name, old := q.Name, string(id)
	if name == "" {
		name = nodeName(id)
	}
	if q.Op == memberForget {
		old = ""
	} else if i := slices.IndexFunc(known.servers, func(s raft.Server) bool { return s.ID != id && nodeName(s.ID) == name }); i >= 0 {
		return memberReply{}, event.Errorf(event.CodeExists, "there is a node %s already", known.servers[i].ID)
	}
	err = n.commitInternal(ctx, func(waiter uint64) []byte { return ExpectCommit(name, old, waiter) })
	return memberReply{Server: string(id)}, err
}

func (n *Node) begin(ctx context.Context, c Change, server string) (memberReply, error) {
	if err := n.commitInternal(ctx, func(waiter uint64) []byte { return BeginChangeCommit(c, waiter) }); err != nil {
		return memberReply{}, err
	}
	known, err := n.knownMembers()
	if err != nil {
		return memberReply{}, err
	}
	if known.pending == nil || !known.pending.same(c) {
		return memberReply{Server: server}, nil // it was quick
	}
	n.logger.Info("change of the members begins", "change", known.pending.String())
	return memberReply{Server: server, Number: known.pending.Number}, nil
}

// commitInternal executes one commit of the cluster's own and waits for its
// outcome.
func (n *Node) commitInternal(ctx context.Context, build func(waiter uint64) []byte) error {
	done := make(chan error, 1)
	n.submitInternal(build, func(result []byte, err *event.Error) {
		if err != nil {
			done <- err
			return
		}
		refused, decoding := DecodeResultError(result)
		if refused != nil {
			done <- refused
			return
		}
		done <- decoding
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return event.Errorf(event.CodeOutcomeUnknown, "%v", ctx.Err())
	}
}
