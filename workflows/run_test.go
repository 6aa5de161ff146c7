package workflows_test

import (
	"context"
	"slices"
	"testing"

	"github.com/edri-io/edri/workflows"
)

func add(n int) func(context.Context, int) (int, error) {
	return func(_ context.Context, x int) (int, error) { return x + n, nil }
}

var threeSteps = workflows.Define("three", 1, func(ctx workflows.Context, in int) (int, error) {
	a, err := workflows.NewStep("one", add(1)).Do(ctx, in)
	if err != nil {
		return 0, err
	}
	b, err := workflows.NewStep("two", add(10)).Do(ctx, a)
	if err != nil {
		return 0, err
	}
	return workflows.NewStep("three", add(100)).Do(ctx, b)
})

// The start is the fourth commit.
func TestThreeStepsCostThreeAdvances(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("three", "r", 1)
		if got := completed[int](w, "r"); got != 112 {
			t.Errorf("result %d", got)
		}
		want := []string{"started", "step.completed", "step.completed", "step.completed", "completed"}
		if got := w.kinds("r"); !slices.Equal(got, want) {
			t.Errorf("history %q", got)
		}
		if got := w.Advances(); got != 3 {
			t.Errorf("%d advances", got)
		}
	}, threeSteps)
}
