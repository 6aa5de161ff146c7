package managers

import (
	"testing"
)

// A process may have ended before its hello is read.
func TestAHelloOfAProcessThatHasEndedIsOfNoUse(t *testing.T) {
	t.Parallel()
	m, err := New("billing", Config{})
	if err != nil {
		t.Fatal(err)
	}
	p := newPool(m, Process{Command: []string{"true"}, Instances: 1}, nil)
	i := newInstance(p, 0)
	p.retire(i)
	p.greeted(i, 1)
	if len(p.ready) != 0 {
		t.Error("the process is ready")
	}
	told := 0
	forget := p.onEmpty(func() { told++ })
	defer forget()
	if told != 1 {
		t.Errorf("told %d times that no process is ready, want once, at once", told)
	}
}
