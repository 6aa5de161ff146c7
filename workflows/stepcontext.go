package workflows

import (
	"context"
	"fmt"

	"github.com/edri-io/edri/managers"
)

type taskKey struct{}

// taskOf returns the attempt that ctx belongs to.
func taskOf(ctx context.Context) *task {
	t, ok := ctx.Value(taskKey{}).(*task)
	if !ok {
		panic("workflows: the context is not that of a step's function")
	}
	return t
}

// Effects returns what a step changes in the cluster, for its function to add to: events
// and keys, which are committed together with its result, or not at all if it fails. It
// must not be used after the function returned.
func Effects(ctx context.Context) *managers.Effects { return &taskOf(ctx).effects }

// EffectID is the same for every attempt of a step, and no other step's: what a system
// outside the cluster deduplicates by.
func EffectID(ctx context.Context) string {
	t := taskOf(ctx)
	return fmt.Sprintf("%s/%d/%d", t.r.run.ID, t.r.run.Number, t.seq)
}

// Attempt counts the attempts of a step, from 1.
func Attempt(ctx context.Context) int { return taskOf(ctx).attempt }
