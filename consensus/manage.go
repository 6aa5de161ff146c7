package consensus

import (
	"context"
	"time"

	"github.com/edri-io/edri/event"
)

// minRetentionAge keeps a slip of the unit from ending the whole history at once.
const minRetentionAge = time.Second

// RetentionChange says which settings of retention change, and to what.
type RetentionChange struct {
	Age    *time.Duration
	Bytes  *uint64
	Events *uint64
}

// SetRetention changes replicated settings, one after the other. What they end
// goes within seconds, for good. An error may leave some of them changed; to
// repeat it is safe.
func (n *Node) SetRetention(ctx context.Context, change RetentionChange) error {
	values := map[string]uint64{}
	if age := change.Age; age != nil {
		if *age != 0 && *age < minRetentionAge {
			return event.Errorf(event.CodeInvalid, "retention age %v: at least %v, or 0 for any", *age, minRetentionAge)
		}
		values[SettingRetentionAge] = uint64(*age)
	}
	if change.Bytes != nil {
		values[SettingRetentionBytes] = *change.Bytes
	}
	if change.Events != nil {
		values[SettingRetentionEvents] = *change.Events
	}
	for name, value := range values {
		if most := settings[name].most; value > most {
			return event.Errorf(event.CodeInvalid, "%s is %d, at most %d", name, value, most)
		}
	}
	for _, name := range retentionSettings {
		value, changes := values[name]
		if !changes {
			continue
		}
		err := n.execute(ctx, func(waiter uint64) []byte { return SettingCommit(name, value, waiter) })
		if err != nil {
			return err
		}
	}
	return nil
}

// PurgeStream purges the events of a stream before a revision: on every node no
// read returns them any more, and their space is freed when retention passes
// them. The stream's revisions go on. What is gone already stays gone, so that to
// repeat it is safe. What a state machine still needs is refused, see PurgeChecker.
func (n *Node) PurgeStream(ctx context.Context, stream string, before event.Revision) error {
	if err := checkName("stream", []byte(stream), n.cfg.Limits); err != nil {
		return err
	}
	if before == 0 {
		return event.Errorf(event.CodeInvalid, "purge before revision 0: revisions begin at 1")
	}
	if err := n.Await(ctx, true, 0); err != nil { // the caller may know more than this node
		return err
	}
	through, err := n.purgedBefore(stream, before)
	if err != nil || through == 0 {
		return err
	}
	return n.execute(ctx, func(waiter uint64) []byte { return PurgeCommit(stream, before, through, waiter) })
}

// purgedBefore returns the position of the last event of a stream before a
// revision, 0 if all of these are gone already.
func (n *Node) purgedBefore(stream string, before event.Revision) (event.Position, error) {
	v := n.View()
	defer v.Close()
	head, err := v.Stream(stream)
	switch {
	case err != nil:
		return 0, err
	case before > head.Revision+1:
		return 0, event.Errorf(event.CodeInvalid, "purge stream %q before revision %d: its last is %d", stream, before, head.Revision)
	case before == 1:
		return 0, nil
	}
	if err := n.cfg.Machines.checkPurge(v, stream, before); err != nil {
		return 0, err
	}
	return v.Journal().Find(stream, before-1, head.Position)
}

// execute has one of the cluster's own commits executed and returns its failure.
// When ctx ends first, the outcome is unknown.
func (n *Node) execute(ctx context.Context, build func(waiter uint64) []byte) error {
	answer := make(chan error, 1)
	n.submitInternal(build, func(result []byte, refused *event.Error) {
		if refused != nil {
			answer <- refused
			return
		}
		failed, err := DecodeResultError(result)
		switch {
		case err != nil:
			answer <- err
		case failed != nil:
			answer <- failed
		default:
			answer <- nil
		}
	})
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return event.Errorf(event.CodeOutcomeUnknown, "no answer in time: %v", context.Cause(ctx))
	}
}
