package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/workflows"
)

func TestStartMeetsTheRunsOfItsID(t *testing.T) {
	t.Parallel()
	const (
		always, ifFailed, never = edriv1.StartRun_ALWAYS, edriv1.StartRun_IF_FAILED, edriv1.StartRun_NEVER
		fail, use, terminate    = edriv1.StartRun_FAIL, edriv1.StartRun_USE, edriv1.StartRun_TERMINATE
	)
	for _, test := range []struct {
		before   string
		reuse    edriv1.StartRun_Reuse
		conflict edriv1.StartRun_Conflict
		want     string // "new", "that" or an error's code
	}{
		{"none", never, fail, "new"},
		{"completed", always, fail, "new"}, {"completed", ifFailed, fail, "exists"}, {"completed", never, use, "exists"},
		{"failed", always, fail, "new"}, {"failed", ifFailed, fail, "new"}, {"failed", never, terminate, "exists"},
		{"terminated", ifFailed, fail, "new"},
		{"running", always, fail, "exists"}, {"running", never, use, "that"}, {"running", never, terminate, "new"},
		{"delayed", always, terminate, "new"}, {"delayed", always, use, "that"},
	} {
		t.Run(fmt.Sprint(test.before, test.reuse, test.conflict), func(t *testing.T) {
			t.Parallel()
			p, _ := setup(t)
			before := uint64(0)
			start := &edriv1.StartRun{Id: "o-1", Type: "order"}
			if test.before == "delayed" {
				start.Delay = 1000
			}
			if test.before != "none" {
				before = p.begin(start)
			}
			switch test.before {
			case "completed":
				p.mustStep("o-1", completeRecord("1"))
			case "failed":
				p.mustStep("o-1", failRecord(`{"message":"no"}`))
			case "terminated":
				p.must(terminateRun("o-1", ""))
			}
			r := p.do(startRunOp(&edriv1.StartRun{
				Id: "o-1", Type: "order", Reuse: test.reuse, Conflict: test.conflict, Signal: &edriv1.RunSignal{Name: "s", Input: "1"},
			}))
			got := r.GetError().GetCode()
			if r.Error == nil {
				s := r.Results[0].GetRunStarted()
				got = "new"
				if s.Number == before {
					got = "that"
				}
				equal(t, "started", s.Started, got == "new")
				equal(t, "the last of the id", p.run("o-1").Number, s.Number)
				equal(t, "inbox", p.inbox("o-1"), `1 signal.received {"name":"s","input":1}`)
			}
			equal(t, "result", got, test.want)
			if before != 0 && test.want == "new" && (test.before == "running" || test.before == "delayed") {
				equal(t, "the run before", p.runOf("o-1", before).Status, workflows.Terminated)
			}
		})
	}
}

func TestStartIsRefused(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	for _, test := range []struct {
		start *edriv1.StartRun
		want  string
	}{
		{&edriv1.StartRun{Id: "o", Type: "unknown"}, "not_found"},
		{&edriv1.StartRun{Id: "o", Type: "order", Version: 2}, "not_found"},
		{&edriv1.StartRun{Id: "o", Type: "order", Attributes: `{"color":"red"}`}, "invalid"},
		{&edriv1.StartRun{Id: "o", Type: "order", Attributes: `{"total":"1"}`}, "invalid"},
		{&edriv1.StartRun{Id: "o", Type: "order", Attributes: `{"rush":1}`}, "invalid"},
		{&edriv1.StartRun{Id: "o", Type: "order", Attributes: `{"customer":[]}`}, "invalid"},
		{&edriv1.StartRun{Id: "o", Type: "order", Attributes: `{"due":"tomorrow"}`}, "invalid"},
		{&edriv1.StartRun{Id: "o", Type: "order", Attributes: `{"due":"0001-01-01T00:00:00Z"}`}, "invalid"},
		{&edriv1.StartRun{Id: "o", Type: "order", Attributes: `{"customer":"` + strings.Repeat("x", 256) + `"}`}, "too_large"},
	} {
		equal(t, fmt.Sprint(test.start), p.code(startRunOp(test.start)), test.want)
	}
	for _, start := range []*edriv1.StartRun{
		{Type: "order"}, {Id: "o"}, {Id: strings.Repeat("x", 201), Type: "order"}, {Id: "o", Type: "order", Delay: -1},
		{Id: "o", Type: "order", Timeout: maxDuration + 1}, {Id: "o", Type: "order", Reuse: 3}, {Id: "o", Type: "order", Conflict: 3},
		{Id: "o", Type: "order", Correlation: "\n"}, {Id: "o", Type: "order", Signal: &edriv1.RunSignal{}},
	} {
		if got := p.refused(startRunOp(start)); got == "" {
			t.Errorf("accepted: %v", start)
		}
	}
	equal(t, "rows", p.rows(), "")
}

func TestDelayedRunBeginsAtItsTime(t *testing.T) {
	t.Parallel()
	p, now := setup(t)
	number := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order", Delay: int64(time.Minute), Timeout: int64(time.Hour)})
	p.must(signalRun("o-1", "s", ""))
	equal(t, "open", fmt.Sprint(p.detailsOf(number).Open), fmt.Sprint([]Open{{Kind: OpenDelay, Due: *now + int64(time.Minute)}}))
	equal(t, "rows", p.rows(), "e1 i1 m1 r1 t1 x2")
	*now += int64(time.Minute)
	p.ring()
	equal(t, "rows when it begins", p.rows(), "b1 e1 i1 m1 r1 t1 x2")
	*now += int64(time.Hour) - 1
	p.ring()
	equal(t, "status", p.run("o-1").Status, workflows.Running)
	p.reopen()
	*now++
	p.ring()
	equal(t, "status at the timeout", p.run("o-1").Status, workflows.TimedOut)
	equal(t, "failure", string(p.detailsOf(number).Failure), `{"type":"edri.timeout","message":"the run took longer than it may"}`)
	equal(t, "history", p.history("o-1", number), "started timed_out unhandled")
}

func TestDelayedRunIsTerminated(t *testing.T) {
	t.Parallel()
	p, now := setup(t)
	number := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order", Delay: int64(time.Minute)})
	p.must(pauseRun("o-1", true, ""))
	p.must(terminateRun("o-1", "over"))
	*now += int64(time.Hour)
	p.ring()
	equal(t, "history", p.history("o-1", number), "started paused terminated")
	equal(t, "failure", string(p.detailsOf(number).Failure), `{"type":"edri.terminated","message":"over"}`)
}

func TestVersionsOfDefinitions(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "a", Type: "order"})
	p.define("order", 3)
	equal(t, "an older one", p.code(defineOp(&edriv1.DefineWorkflow{Name: "order", Version: 2})), "exists")
	p.begin(&edriv1.StartRun{Id: "b", Type: "order"})
	p.begin(&edriv1.StartRun{Id: "c", Type: "order", Version: 2})
	for id, want := range map[string]uint32{"a": 1, "b": 3, "c": 2} {
		equal(t, "version of "+id, p.run(id).Version, want)
	}
	equal(t, "a version that is not yet", p.code(startRunOp(&edriv1.StartRun{Id: "d", Type: "order", Version: 4})), "not_found")
	// Of the same version, it changes what goes with it.
	p.must(defineOp(&edriv1.DefineWorkflow{Name: "order", Version: 3}))
	equal(t, "an attribute that is no more", p.code(startRunOp(&edriv1.StartRun{Id: "d", Type: "order", Attributes: `{"total":1}`})), "invalid")
}

func TestDefinitionsAreChecked(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	attributes := func(names ...string) (list []*edriv1.WorkflowAttribute) {
		for _, name := range names {
			list = append(list, &edriv1.WorkflowAttribute{Name: name})
		}
		return list
	}
	var many []string
	for i := range 21 {
		many = append(many, fmt.Sprint("a", i))
	}
	for what, d := range map[string]*edriv1.DefineWorkflow{
		"no version":     {Name: "w"},
		"reserved":       {Name: "w", Version: 1, Attributes: attributes("status")},
		"twice":          {Name: "w", Version: 1, Attributes: attributes("a", "a")},
		"no name":        {Name: "w", Version: 1, Attributes: attributes("")},
		"a dot":          {Name: "w", Version: 1, Attributes: attributes("a.b")},
		"a digit":        {Name: "w", Version: 1, Attributes: attributes("1a")},
		"too many":       {Name: "w", Version: 1, Attributes: attributes(many...)},
		"negative age":   {Name: "w", Version: 1, RetentionAge: -1},
		"too far an age": {Name: "w", Version: 1, RetentionAge: maxDuration + 1},
	} {
		if got := p.refused(defineOp(d)); got == "" {
			t.Errorf("accepted: %s", what)
		}
	}
	equal(t, "20 attributes", p.refused(defineOp(&edriv1.DefineWorkflow{Name: "w", Version: 1, Attributes: attributes(many[1:]...)})), "")
}

// The index has the attributes as they are, in the order of their values.
func TestAttributes(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	number := p.begin(&edriv1.StartRun{
		Id: "o-1", Type: "order", Memo: `{"note":[1]}`,
		Attributes: `{"customer":"Zoë \u0000\"","total":-0.0,"rush":true,"due":"2026-01-01T01:00:00+01:00"}`,
	})
	equal(t, "attributes", string(p.detailsOf(number).Attributes), `{"customer":"Zoë \u0000\"","due":"2026-01-01T00:00:00Z","rush":true,"total":0}`)
	p.check1(t)
	p.mustStep("o-1", attributesRecord(`{"customer":"desk 1","rush":null,"total":1e21,"due":"2026-01-01T00:00:00.5Z"}`))
	p.reopen()
	equal(t, "changed", string(p.detailsOf(number).Attributes), `{"customer":"desk 1","due":"2026-01-01T00:00:00.5Z","total":1e+21}`)
	equal(t, "memo", string(p.detailsOf(number).Memo), `{"note":[1]}`)
	equal(t, "rows", p.rows(), "i1 m1 r1 x5")
	p.check1(t)
	equal(t, "one of another type", p.step("o-1", attributesRecord(`{"customer":"desk 2","total":true}`)).GetError().GetCode(), "invalid")
	equal(t, "unchanged", string(p.detailsOf(number).Attributes), `{"customer":"desk 1","due":"2026-01-01T00:00:00.5Z","total":1e+21}`)
	p.mustStep("o-1", attributesRecord(`{"customer":null,"due":null,"total":null}`))
	equal(t, "without any", string(p.detailsOf(number).Attributes), "")
	equal(t, "rows without any", p.rows(), "i1 m1 r1 x2")
}

func TestValuesAreInOrderInTheIndex(t *testing.T) {
	t.Parallel()
	for _, list := range [][]value{
		{"", "\x00", "\x00\x00", "\x00a", "a", "a\x00", "a\x00\x01", "a\x01", "aa", "b", "\xff"},
		{-1e300, -2.0, -1.5, -1e-300, 0.0, 1e-300, 1.0, 2.0, 1e300},
		{int64(-1 << 63), int64(-1), int64(0), int64(1), int64(1<<63 - 1)},
		{false, true},
	} {
		for i := 1; i < len(list); i++ {
			a, b := indexPrefix("f", list[i-1]), indexPrefix("f", list[i])
			if string(a) >= string(b) || strings.HasPrefix(string(b), string(a)) {
				t.Errorf("%q is not before %q: %x, %x", list[i-1], list[i], a, b)
			}
		}
	}
}
