package consensus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
)

// What nodes ask of each other, the first two of the leader.
const (
	kindCommits   byte = 1 // payload: commits, each with its length; reply: refusals
	kindReadIndex byte = 2 // payload: none; reply: uvarint index, or an error
	kindPulse     byte = 3 // payload: none, or of one that stops a pulse; reply: a pulse
	kindMembers   byte = 4 // payload: a memberRequest; reply: a memberReply, or an error
	kindTerm      byte = 5 // payload: none; reply: uvarint term in which the node is, or an error
)

// Replies begin with one of these.
const (
	replyOK    byte = 0
	replyError byte = 1 // the rest is an edri.v1.Error
)

func refuseAll(items []queued, err *event.Error) {
	for _, q := range items {
		q.from.refused(q.index, err)
	}
}

// Serve answers another node's request; reply may be called from any goroutine.
func (n *Node) Serve(kind byte, payload []byte, reply func([]byte)) {
	// A peer may remember this node as the leader while it starts or stops.
	if n.raft.Load() == nil || !n.beginTask() {
		reply(errorReply(event.Errorf(event.CodeUnavailable, "the node is starting or stopping")))
		return
	}
	switch kind { // what waits has a goroutine of its own
	case kindReadIndex:
		go func() {
			defer n.tasks.Done()
			n.serveReadIndex(reply)
		}()
		return
	case kindMembers:
		go func() {
			defer n.tasks.Done()
			n.serveMembers(payload, reply)
		}()
		return
	}
	defer n.tasks.Done()
	switch kind {
	case kindCommits:
		n.serveCommits(payload, reply)
	case kindPulse:
		n.servePulse(payload, reply)
	case kindTerm:
		reply(binary.AppendUvarint([]byte{replyOK}, n.raft.Load().CurrentTerm()))
	default:
		reply(errorReply(event.Errorf(event.CodeInvalid, "unknown request kind %d", kind)))
	}
}

// askTerm asks a peer in which term it is.
func (n *Node) askTerm(peer raft.ServerID, done func(term uint64, err error)) {
	n.peers.Go(peer, kindTerm, nil, func(reply []byte, err error) {
		if err != nil {
			done(0, err)
			return
		}
		done(parseNumberReply(reply))
	})
}

func (n *Node) serveReadIndex(reply func([]byte)) {
	ctx, cancel := context.WithTimeout(n.lifetime, answerPatience)
	defer cancel()
	index, err := n.localReadIndex(ctx)
	switch {
	case err == nil:
		reply(binary.AppendUvarint([]byte{replyOK}, index))
	case ctx.Err() != nil: // nothing is wrong with the read
		reply(errorReply(event.Errorf(event.CodeUnavailable, "no read index: %v", ctx.Err())))
	default:
		reply(errorReply(asEventError(err)))
	}
}

func (n *Node) serveCommits(payload []byte, reply func([]byte)) {
	commits, err := parseCommits(payload)
	if err != nil {
		reply(errorReply(event.Errorf(event.CodeInvalid, "%v", err)))
		return
	}
	frame := &forwarded{left: len(commits), reply: reply}
	items := make([]queued, len(commits))
	var m commit
	for i, c := range commits {
		// Checked where it entered, by a node that may be of another version: what
		// apply could not decode must not get into the log.
		if err := n.cfg.Machines.checkSealed(&m, c); err != nil {
			reply(errorReply(event.Errorf(event.CodeInvalid, "forwarded commit %d: %v", i, err)))
			return
		}
		items[i] = queued{commit: c, from: frame, index: i, held: n.cfg.Machines.holds(m.ops), repeatable: m.session != 0}
	}
	if len(items) == 0 {
		reply([]byte{replyOK})
		return
	}
	refusal := n.admit()
	switch {
	case refusal != nil:
	case n.leads():
		items, refusal = n.enqueue(items)
	default:
		refusal = event.Errorf(event.CodeNotLeader, "this node does not lead")
	}
	if refusal != nil {
		refuseAll(items, n.nameLeader(refusal))
	}
}

// forwarded is a frame of commits that another node sent. It is answered when
// each of them is settled.
type forwarded struct {
	mu       sync.Mutex
	left     int
	refusals []refusal
	reply    func([]byte)
}

type refusal struct {
	index int
	err   *event.Error
}

var _ origin = (*forwarded)(nil)

func (f *forwarded) settled(int) { f.count(nil) }

func (f *forwarded) refused(i int, err *event.Error) { f.count(&refusal{i, err}) }

func (f *forwarded) count(r *refusal) {
	f.mu.Lock()
	if r != nil {
		f.refusals = append(f.refusals, *r)
	}
	f.left--
	last := f.left == 0
	f.mu.Unlock()
	if last {
		f.reply(appendRefusals([]byte{replyOK}, f.refusals))
	}
}

// leaderReadIndex returns an index that covers all that was acknowledged before
// the call, from whichever node leads.
func (n *Node) leaderReadIndex(ctx context.Context) (uint64, error) {
	r := n.raft.Load()
	if r == nil {
		return 0, event.Errorf(event.CodeUnavailable, "the node is starting")
	}
	_, leader := r.LeaderWithID()
	switch leader {
	case "":
		return 0, event.Errorf(event.CodeUnavailable, "no leader is known")
	case n.serverID:
		return n.localReadIndex(ctx)
	}
	type outcome struct {
		reply []byte
		err   error
	}
	done := make(chan outcome, 1)
	n.peers.Go(leader, kindReadIndex, nil, func(reply []byte, err error) { done <- outcome{reply, err} })
	select {
	case got := <-done:
		if got.err != nil {
			return 0, event.Errorf(event.CodeUnavailable, "ask the leader for a read index: %v", got.err)
		}
		return parseNumberReply(got.reply)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// establishPoll is how often a read asks a leader again that is not ready yet.
const establishPoll = 5 * time.Millisecond

// localReadIndex answers as the leader; it waits while this node leads but has
// not yet applied a command of its term.
func (n *Node) localReadIndex(ctx context.Context) (uint64, error) {
	for {
		index, err := n.reads.get(ctx)
		r := n.raft.Load()
		if err == nil || r == nil || r.State() != raft.Leader || n.leads() || event.CodeOf(err) != event.CodeUnavailable {
			return index, err
		}
		select {
		case <-time.After(establishPoll):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func appendCommits(dst []byte, items []queued) []byte {
	size := 0
	for _, q := range items {
		size += binary.MaxVarintLen32 + len(q.commit)
	}
	if dst == nil {
		dst = make([]byte, 0, size)
	}
	for _, q := range items {
		dst = AppendCommit(dst, q.commit)
	}
	return dst
}

func parseCommits(b []byte) ([][]byte, error) {
	e := Entry{rest: b}
	var commits [][]byte
	for len(e.rest) > 0 {
		c, ok := e.next()
		if !ok {
			return nil, fmt.Errorf("forwarded commit %d is cut off", len(commits))
		}
		commits = append(commits, c)
	}
	return commits, nil
}

func errorReply(err *event.Error) []byte { return event.AppendError([]byte{replyError}, err) }

func appendRefusals(dst []byte, refusals []refusal) []byte {
	for _, r := range refusals {
		dst = binary.AppendUvarint(dst, uint64(r.index))
		dst = AppendCommit(dst, event.AppendError(nil, r.err))
	}
	return dst
}

var errBadReply = errors.New("malformed reply")

// parseRefusals reads a reply about n commits.
func parseRefusals(b []byte, n int) ([]refusal, error) {
	if len(b) == 0 {
		return nil, errBadReply
	}
	if b[0] == replyError {
		whole, err := event.DecodeError(b[1:])
		if err != nil {
			return nil, fmt.Errorf("decode error: %w", err)
		}
		refusals := make([]refusal, n)
		for i := range refusals {
			refusals[i] = refusal{i, whole}
		}
		return refusals, nil
	}
	var refusals []refusal
	e := Entry{rest: b[1:]}
	for len(e.rest) > 0 {
		index, size := binary.Uvarint(e.rest)
		if size <= 0 || index >= uint64(n) {
			return nil, errBadReply
		}
		e.rest = e.rest[size:]
		body, ok := e.next()
		if !ok {
			return nil, errBadReply
		}
		refused, err := event.DecodeError(body)
		if err != nil {
			return nil, fmt.Errorf("decode error: %w", err)
		}
		refusals = append(refusals, refusal{int(index), refused})
	}
	return refusals, nil
}

func parseNumberReply(b []byte) (uint64, error) {
	if len(b) > 0 && b[0] == replyError {
		refused, err := event.DecodeError(b[1:])
		if err != nil {
			return 0, fmt.Errorf("decode error: %w", err)
		}
		return 0, refused
	}
	if len(b) == 0 {
		return 0, errBadReply
	}
	index, size := binary.Uvarint(b[1:])
	if size <= 0 {
		return 0, errBadReply
	}
	return index, nil
}
