package workflows

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

const (
	// maxHeartbeat is what the details of a heartbeat may have, since a history has them
	// many times.
	maxHeartbeat = 64 << 10
	// Details are recorded heartbeatPace after they were said, and each time in an attempt
	// a heartbeatPart of that later. So a lost worker costs the last ten seconds of an
	// attempt and a fiftieth of what it took, and an attempt has 100 records in its first
	// hour and 260 in its first day.
	heartbeatPace = 10 * time.Second
	heartbeatPart = 50
	// maxHeartbeatEvents is how long a history gets by heartbeats: the rest of the 50,000
	// events is for what the code asks for.
	maxHeartbeatEvents = 10_000
)

// Heartbeat says that a step's function is alive, to be called more often than its
// heartbeat timeout. Details say how far it has come, for the next attempt, which has them
// by HeartbeatDetails, and for the error if no other heartbeat follows in time; nil: those
// that were said before stay.
//
// An error, an *Error, says that the details are not kept: encoded as JSON they have more
// than 64 KiB (ErrorTooLarge), or they cannot be (ErrorInvalid). Those before stay, and the
// function is alive nevertheless.
func Heartbeat(ctx context.Context, details any) error {
	t := taskOf(ctx)
	t.alive()
	if details == nil {
		return nil
	}
	data, err := encodeWithin("details of a heartbeat", details, maxHeartbeat)
	if err != nil || data == nil {
		return err
	}
	t.say(data)
	return nil
}

// HeartbeatDetails returns what the attempts of a step before this one said last by
// Heartbeat, so that it can go on where they were. That may be less than they did; ok is
// false where nothing is known of it, or it cannot be decoded into a T: then the step is to
// be done from its beginning.
//
// Of an attempt that failed or timed out, or returned when its worker was stopped, what it
// said last is known. Of one whose worker is lost it is what was recorded: all but the last
// ten seconds and, the longer it ran, a fiftieth of its time.
func HeartbeatDetails[T any](ctx context.Context) (details T, ok bool) {
	t := taskOf(ctx)
	if t.before == nil {
		return details, false
	}
	if err := decode(t.before, &details); err != nil {
		t.r.h.cfg.Logger.Warn("details of a heartbeat are not of the type", "run", t.r.run.ID, "step", t.step.name, "error", err)
		return *new(T), false
	}
	return details, true
}

// alive puts the heartbeat timeout off.
func (t *task) alive() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.beat != nil && t.beat.Stop() { // else it is too late
		t.beat.Reset(t.step.options.Heartbeat)
	}
}

// say keeps details, and has them recorded in a while: those which are the last then. A
// step that runs at most once has no next attempt if its worker is lost.
func (t *task) say(details json.RawMessage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.due == nil && !t.step.once() && string(details) != string(t.details) {
		t.pace = max(heartbeatPace, t.pace+t.pace/heartbeatPart)
		t.due = time.AfterFunc(t.pace, func() {
			t.r.post(func() {
				if t.r.tasks[t.seq] == t {
					t.recordHeartbeat()
				}
			})
		})
	}
	t.details = details
}

// said returns the details of the last heartbeat that had any.
func (t *task) said() json.RawMessage {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.details
}

// recordHeartbeat puts details that are not recorded to the results of the run. One of a
// step is enough there.
func (t *task) recordHeartbeat() {
	t.mu.Lock()
	due := t.due
	t.due = nil
	t.mu.Unlock()
	if due == nil {
		return
	}
	due.Stop()
	r := t.r
	r.results = slices.DeleteFunc(r.results, func(res *result) bool { return res.goesOn && res.seq == t.seq })
	r.results = append(r.results, &result{
		seq: t.seq, attempt: t.attempt, began: t.began, ended: stamp(), heartbeat: t.said(), goesOn: true,
	})
}

// stopHeartbeats leaves details that are due to recordHeartbeat.
func (t *task) stopHeartbeats() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.due != nil {
		t.due.Stop()
	}
}

// dropHeartbeats takes details out of what was fed for an advance that is refused, and
// reports whether there were any: no run is to be blocked by them.
func (r *live) dropHeartbeats() bool {
	var front []pending
	dropped := false
	for _, p := range r.batch {
		res := p.result
		if res != nil && res.heartbeat != nil && (res.goesOn || res.err != nil) {
			res.heartbeat, dropped = nil, true
			if res.goesOn {
				continue
			}
		}
		front = append(front, p)
	}
	if dropped {
		r.restart(front)
	}
	return dropped
}
