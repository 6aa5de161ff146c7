package fault

import (
	"errors"
	"testing"
)

func run(s Seam, ops ...Op) (done []Op, err error) {
	for _, op := range ops {
		err = s.Do(op, "f", func() error {
			done = append(done, op)
			return nil
		})
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func TestNilSeamInjectsNothing(t *testing.T) {
	t.Parallel()
	done, err := run(nil, OpWrite, OpSync)
	if err != nil || len(done) != 2 {
		t.Fatalf("got %v, %v; want both operations and no error", done, err)
	}
}

func TestDoReturnsTheOperationsOwnError(t *testing.T) {
	t.Parallel()
	own := errors.New("own")
	r := Record()
	err := r.Seam().Do(OpWrite, "f", func() error { return own })
	if !errors.Is(err, own) || len(r.Steps()) != 1 {
		t.Fatalf("got %v after %v; want own error and no After step", err, r.Steps())
	}
}

func TestInjectorFailsAtTheChosenStep(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		inj  *Injector
		done int  // operations that took effect in the first run
		next bool // whether a second run succeeds
	}{
		{"crash before", CrashAt(1), 0, false},
		{"crash after", CrashAt(2), 1, false},
		{"crash later", CrashAt(4), 2, false},
		{"fail before", FailAt(3), 1, true},
		{"fail after", FailAt(4), 2, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			done, err := run(tc.inj.Seam(), OpWrite, OpSync)
			if !errors.Is(err, ErrInjected) || len(done) != tc.done || !tc.inj.Fired() {
				t.Fatalf("got %v, %v; want %d operations and ErrInjected", done, err, tc.done)
			}
			if _, err := run(tc.inj.Seam(), OpWrite); (err == nil) != tc.next {
				t.Fatalf("second run got %v, want success %t", err, tc.next)
			}
		})
	}
}

func TestFiredIsFalseBeyondTheLastStep(t *testing.T) {
	t.Parallel()
	i := CrashAt(5)
	if _, err := run(i.Seam(), OpWrite, OpSync); err != nil || i.Fired() {
		t.Fatalf("got %v, fired %t; want no error and not fired", err, i.Fired())
	}
	want := Step{Op: OpSync, Path: "f", After: true}
	if got := i.Steps()[3]; got != want || got.String() != "after sync f" {
		t.Fatalf("got last step %v, want %v", got, want)
	}
}
