package consensus

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/internal/wire"
)

func TestPulseSurvivesTheWire(t *testing.T) {
	t.Parallel()
	want := pulse{serverID: "n1.00ff", clock: 1 << 60, stalled: true, disk: diskSpace{7, 8, 9, true}}
	got, err := decodePulse(want.append(nil))
	if err != nil || got != want {
		t.Errorf("decoded %+v, %v; want %+v", got, err, want)
	}
	// What a later version adds is passed over.
	longer := wire.AppendBytes(wire.AppendUint(want.append(nil), 200, 7), 201, []byte("later"))
	if got, err := decodePulse(longer); err != nil || got != want {
		t.Errorf("with unknown fields: decoded %+v, %v; want %+v", got, err, want)
	}
	for name, b := range map[string][]byte{
		"empty":           nil,
		"cut off":         want.append(nil)[:5],
		"another version": wire.AppendUint(nil, 1, 9),
		"nobody":          wire.AppendUint(nil, 1, pulseVersion),
	} {
		if p, err := decodePulse(b); err == nil {
			t.Errorf("%s: decoded as %+v", name, p)
		}
	}
}

func FuzzPulse(f *testing.F) {
	p := pulse{serverID: "n1.00ff", clock: 1 << 60, stalled: true, disk: diskSpace{7, 8, 9, true}}
	f.Add(p.append([]byte{replyOK}))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parsePulseReply(b)
		if err != nil {
			return
		}
		if again, err := decodePulse(p.append(nil)); err != nil || again != p {
			t.Errorf("%+v became %+v, %v", p, again, err)
		}
	})
}

func TestTimeIsTheMedianOfTheClocks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		clocks []int64
		want   int64
	}{
		{"alone its own", []int64{7}, 7},
		{"of two the earlier", []int64{9, 5}, 5},
		{"one ahead", []int64{1000, 5, 6}, 6},
		{"one behind", []int64{-1000, 5, 6}, 5},
		{"of four the second", []int64{4, 3, 2, 1}, 2},
		{"two of five ahead", []int64{1000, 1000, 5, 6, 7}, 7},
	} {
		if got := median(test.clocks); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
}

func TestAJumpOfItsOwnClockIsOutvotedAtOnce(t *testing.T) {
	t.Parallel()
	jump := time.Duration(0)
	c := newClocks(func() time.Time { return time.Now().Add(jump) })
	anchor := time.Now().UnixNano() - c.elapsed()
	c.peers.Store(&[]int64{anchor, anchor})
	for _, jump = range []time.Duration{0, time.Hour, -time.Hour} {
		if off := time.Duration(c.now() - time.Now().UnixNano()).Abs(); off > 100*time.Millisecond {
			t.Errorf("after a jump of %v the cluster's time is off by %v", jump, off)
		}
	}
}

func TestReportsForgetWhoIsNoMember(t *testing.T) {
	t.Parallel()
	b, now := newReports(), time.Now()
	servers := []raft.Server{{ID: "a"}, {ID: "b"}, {ID: "c"}}
	if ask := b.keep(servers, "a", now); len(ask) != 2 {
		t.Fatalf("asks %v, want b and c", ask)
	}
	if ask := b.keep(servers, "a", now); len(ask) != 0 {
		t.Errorf("asks %v again, who owe an answer", ask)
	}
	b.take("b", nil)
	if ask := b.keep(servers[:2], "a", now); len(ask) != 1 || ask[0] != "b" {
		t.Errorf("asks %v, want b, who did not answer", ask)
	}
	b.take("c", func(*report) { t.Error("heard one who was removed") })
	if all := b.all(); len(all) != 1 {
		t.Errorf("knows %v, want b alone", all)
	}
}

func TestAlarmsHoldUntilTheyAreCleared(t *testing.T) {
	t.Parallel()
	cfg, err := Config{Name: "n", Peers: []Peer{{"n", "n"}}, Fatal: func(int, error) {}}.normalise()
	if err != nil {
		t.Fatal(err)
	}
	a := newAlarms(cfg.Logger)
	a.raise("clock of b", "off by 1s")
	a.raise("clock of a", "off by 2s")
	a.raise("clock of a", "off by 3s")
	a.raise("space", "full")
	if got := a.list(); len(got) != 3 || got[0] != "off by 3s" || got[1] != "off by 1s" {
		t.Errorf("alarms are %q", got)
	}
	a.clearOthers("clock of ", []string{"clock of b"})
	a.clear("space")
	if got := a.list(); len(got) != 1 || got[0] != "off by 1s" {
		t.Errorf("alarms are %q", got)
	}
}
