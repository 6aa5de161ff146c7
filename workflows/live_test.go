package workflows

import "testing"

// A query or an assignment that was posted to a run while it went is not lost.
func TestWhatIsPostedToARunThatGoesIsTold(t *testing.T) {
	t.Parallel()
	f := Define("test", 1, func(Context, struct{}) (int, error) { return 0, nil })
	runner, err := NewRunner(Config{}, f)
	if err != nil {
		t.Fatal(err)
	}
	r := newLive(newHost(runner, nil), f.def, &Assign{Run: Run{ID: "r", Number: 1}})
	r.active = true // as if a goroutine were at it
	var done, gone int
	r.post(r.drop)
	r.postOr(func() { done++ }, func() { gone++ })
	r.post(func() { done++ })
	r.turn()
	if done != 0 || gone != 1 {
		t.Errorf("done %d, gone %d", done, gone)
	}
	if r.post(func() {}) {
		t.Error("a run that is gone took something")
	}
}
