package client

import (
	"context"
	"time"

	"github.com/edri-io/edri/event"
)

// What a lane does when its stream owes results and gives none.
//
// To send everything again elsewhere helps where the node is cut off from its
// cluster or stands still. It harms where the cluster is only slow: the same
// commits are then in its log once more for each try, and make it slower. So the
// lane asks the node before it gives the stream up, and stays while the node
// answers that it knows a leader, up to maxPatience times the first look. A node
// that lives answers every commit within that, were it by outcome_unknown.
//
// A node that does not even say so may be too busy to: each time that a stream
// was given up, the next one has twice the time.
const (
	// firstPatience is how often the lane looks; silence is noticed after one to
	// two times this.
	firstPatience = 3 * time.Second
	maxPatience   = 4 // times firstPatience: more than a node's 10 s for an outcome
)

// creditor is who waits for results: a lane, or a member.
type creditor interface {
	// owesQuietly reports whether the stream has owed results since the last call and
	// given none.
	owesQuietly() bool
	patienceNow() time.Duration
	growPatience()
}

// watchSilence returns why l's stream to n is to be given up, nil when ctx ends. It
// looks so often.
func watchSilence(ctx context.Context, l creditor, n *server, look time.Duration) *event.Error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	silence := time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !l.owesQuietly() {
			silence = 0
			continue
		}
		silence += look
		if silence < maxPatience*look && (silence < l.patienceNow() || n.knowsLeader(ctx)) {
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		l.growPatience()
		return event.Errorf(event.CodeUnavailable, "no result within %v", silence)
	}
}

// owesQuietly reports whether the stream has owed results since the last call
// and given none.
func (l *lane) owesQuietly() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	quiet := l.quiet && l.sent > 0
	l.quiet = l.sent > 0
	return quiet
}

// knowsLeader reports whether the node answers and belongs to a cluster that works.
func (n *server) knowsLeader(ctx context.Context) bool {
	status, err := n.askStatus(ctx)
	return err == nil && status.LeaderId != ""
}

func (l *lane) patienceNow() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.patience
}

// growPatience is for a try that ended without any result; one result brings the
// first patience back.
func (l *lane) growPatience() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.patience = min(2*l.patience, maxPatience*l.client.silenceAfter)
}
