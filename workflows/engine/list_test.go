package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// known is what a test knows of a run that it made.
type known struct {
	number           uint64
	id, typ, status  string
	started, ended   int64
	paused           bool
	version          uint32
	customer         any // string, or in workflow "return" a number
	total, due       float64
	hasTotal, hasDue bool
	rush, hasRush    bool
	customer2        string
}

// claim is a filter and what it means.
type claim struct {
	text  string
	holds func(*known) bool
}

func compareClaim[T cmp.Ordered](field, op, shown string, want T, get func(*known) (T, bool)) claim {
	return claim{field + " " + op + " " + shown, func(k *known) bool {
		have, ok := get(k)
		switch {
		case op == "!=":
			return !ok || have != want
		case !ok:
			return false
		case op == "=":
			return have == want
		case op == "<":
			return have < want
		case op == "<=":
			return have <= want
		case op == ">":
			return have > want
		}
		return have >= want
	}}
}

var compareOps = []string{"=", "!=", "<", "<=", ">", ">="}

func timeAt(minutes int) int64 { return start2026 + int64(minutes)*int64(time.Minute) }

func shownTime(at int64) string { return `"` + time.Unix(0, at).UTC().Format(time.RFC3339) + `"` }

// drawClaim draws a filter.
func drawClaim(t *rapid.T, depth int) claim {
	kinds := 12
	if depth > 3 {
		kinds = 9
	}
	op := rapid.SampledFrom(compareOps).Draw(t, "op")
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		want := rapid.SampledFrom([]string{"running", "completed", "terminated"}).Draw(t, "status")
		return compareClaim("status", rapid.SampledFrom([]string{"=", "!="}).Draw(t, "eq"), "'"+want+"'", want, func(k *known) (string, bool) { return k.status, true })
	case 1:
		want := rapid.SampledFrom([]string{"order", "return", "none"}).Draw(t, "type")
		return compareClaim("type", op, `"`+want+`"`, want, func(k *known) (string, bool) { return k.typ, true })
	case 2:
		want := fmt.Sprint("r", rapid.IntRange(0, 9).Draw(t, "id"))
		return compareClaim("id", op, `"`+want+`"`, want, func(k *known) (string, bool) { return k.id, true })
	case 3:
		want := timeAt(rapid.IntRange(0, 40).Draw(t, "minute"))
		return compareClaim("started", op, shownTime(want), want, func(k *known) (int64, bool) { return k.started, true })
	case 4:
		want := timeAt(rapid.IntRange(0, 40).Draw(t, "minute"))
		return compareClaim("ended", op, shownTime(want), want, func(k *known) (int64, bool) { return k.ended, k.ended != 0 })
	case 5:
		want := rapid.SampledFrom([]float64{-2.5, -1, 0, 1, 10}).Draw(t, "total")
		return compareClaim("total", op, fmt.Sprint(want), want, func(k *known) (float64, bool) { return k.total, k.hasTotal })
	case 6:
		want := rapid.SampledFrom([]string{"", "a", "ab", "b", "a\x00"}).Draw(t, "customer")
		return compareClaim("customer", op, `"`+want+`"`, want, func(k *known) (string, bool) { s, ok := k.customer.(string); return s, ok })
	case 7:
		prefix := rapid.SampledFrom([]string{"", "a", "ab"}).Draw(t, "prefix")
		field := rapid.SampledFrom([]string{"name", "customer", "id"}).Draw(t, "field")
		return claim{field + ` prefix "` + prefix + `"`, func(k *known) bool {
			switch field {
			case "id":
				return strings.HasPrefix(k.id, prefix)
			case "name":
				return k.typ == "order" && strings.HasPrefix(k.customer2, prefix)
			}
			s, ok := k.customer.(string)
			return ok && strings.HasPrefix(s, prefix)
		}}
	case 8:
		return []claim{
			{"paused = true", func(k *known) bool { return k.paused }},
			{"rush != false", func(k *known) bool { return !k.hasRush || k.rush }},
			{"version in (2, 3)", func(k *known) bool { return k.version >= 2 }},
			{"customer = 7", func(k *known) bool { return k.customer == 7.0 }},
			{"due >= \"2026-01-02\"", func(k *known) bool { return k.hasDue && k.due >= 1 }},
			{`status in ("running", "terminated")`, func(k *known) bool { return k.status != "completed" }},
			{`id in ("r1", "r2", "r1")`, func(k *known) bool { return k.id == "r1" || k.id == "r2" }},
			{`customer in ("a", 7)`, func(k *known) bool { return k.customer == "a" || k.customer == 7.0 }},
			{`name > "a" and name <= "b"`, func(k *known) bool { return k.typ == "order" && k.customer2 > "a" && k.customer2 <= "b" }},
		}[rapid.IntRange(0, 8).Draw(t, "fixed")]
	case 9:
		a := drawClaim(t, depth+1)
		return claim{"not (" + a.text + ")", func(k *known) bool { return !a.holds(k) }}
	case 10:
		a, b := drawClaim(t, depth+1), drawClaim(t, depth+1)
		return claim{"(" + a.text + ") and (" + b.text + ")", func(k *known) bool { return a.holds(k) && b.holds(k) }}
	}
	a, b := drawClaim(t, depth+1), drawClaim(t, depth+1)
	return claim{"(" + a.text + " or (" + b.text + "))", func(k *known) bool { return a.holds(k) || b.holds(k) }}
}

// listedPlant makes runs of all kinds.
func listedPlant(t *testing.T) (*plant, []known) {
	t.Helper()
	var now int64
	p := newPlant(t, &now)
	p.must(defineOp(&edriv1.DefineWorkflow{Name: "order", Version: 3, Attributes: []*edriv1.WorkflowAttribute{
		{Name: "customer"}, {Name: "name"}, {Name: "total", Type: edriv1.WorkflowAttribute_NUMBER},
		{Name: "rush", Type: edriv1.WorkflowAttribute_BOOL}, {Name: "due", Type: edriv1.WorkflowAttribute_TIME},
	}}))
	p.must(defineOp(&edriv1.DefineWorkflow{Name: "return", Version: 1, Attributes: []*edriv1.WorkflowAttribute{
		{Name: "customer", Type: edriv1.WorkflowAttribute_NUMBER},
	}}))
	var all []known
	for i := range 120 {
		if i%3 == 0 {
			now += int64(time.Minute)
		}
		k := known{id: fmt.Sprint("r", i%10), typ: "order", status: "running", started: now, version: uint32(i%3) + 1}
		attributes := map[string]string{}
		if i%10 > 6 {
			k.typ, k.version, k.customer = "return", 1, float64(i%8)
			attributes["customer"] = fmt.Sprint(i % 8)
		} else {
			names := []string{"", "a", "a\\u0000", "ab", "abc", "b", "é"}
			texts := []string{"", "a", "a\x00", "ab", "abc", "b", "é"}
			k.customer, k.customer2 = texts[i%7], texts[i*3%7]
			attributes["customer"], attributes["name"] = `"`+names[i%7]+`"`, `"`+names[i*3%7]+`"`
			if i%4 != 0 {
				k.hasTotal, k.total = true, []float64{-2.5, 0, 1, 10, -1}[i%5]
				attributes["total"] = []string{"-2.5", "-0.0", "1", "1e1", "-1"}[i%5]
			}
			if i%5 == 1 {
				k.hasRush, k.rush = true, i%2 == 0
				attributes["rush"] = fmt.Sprint(k.rush)
			}
			if i%2 == 0 {
				k.hasDue, k.due = true, float64(i%3)
				attributes["due"] = fmt.Sprintf(`"2026-01-0%dT00:00:00Z"`, i%3+1)
			}
		}
		var parts []string
		for name, v := range attributes {
			parts = append(parts, `"`+name+`":`+v)
		}
		r := p.must(startRunOp(&edriv1.StartRun{Id: k.id, Type: k.typ, Version: k.version,
			Conflict: edriv1.StartRun_TERMINATE, Attributes: "{" + strings.Join(parts, ",") + "}"}))
		k.number = r.GetRunStarted().GetNumber()
		for j := range all {
			if all[j].id == k.id && all[j].status == "running" {
				all[j].status, all[j].ended, all[j].paused = "terminated", now, false
			}
		}
		switch i % 5 {
		case 0:
			p.mustStep(k.id, completeRecord("1"))
			k.status, k.ended = "completed", now
		case 1:
			p.must(&edriv1.Op{Op: &edriv1.Op_PauseRun{PauseRun: &edriv1.PauseRun{Id: k.id, Paused: true}}})
			k.paused = true
		}
		all = append(all, k)
	}
	p.reopen()
	return p, all
}

// listAll reads all pages.
func (p *plant) listAll(t failer, filter string, limit, most int) (numbers []uint64, pages int) {
	t.Helper()
	v := p.core.View()
	defer v.Close()
	cursor := ""
	for {
		l := &lister{v: v, limit: limit, most: most}
		more, err := l.list(filter, cursor)
		if err != nil {
			t.Fatalf("list %q after %d: %v", filter, len(numbers), err)
		}
		if len(l.page) > limit {
			t.Fatalf("list %q: %d of at most %d", filter, len(l.page), limit)
		}
		for i := range l.page {
			numbers = append(numbers, l.page[i].Number)
		}
		if pages++; more == "" || pages > 10_000 {
			return numbers, pages
		}
		cursor = more
	}
}

func TestListFindsWhatAFilterSays(t *testing.T) {
	t.Parallel()
	p, all := listedPlant(t)
	v := p.core.View()
	defer v.Close()
	declared, err := declaredAttributes(v)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		c := drawClaim(rt, 0)
		got, _ := p.listAll(rt, c.text, rapid.IntRange(1, 50).Draw(rt, "limit"), rapid.SampledFrom([]int{1, 7, 10_000}).Draw(rt, "most"))
		var want []uint64
		for i := range all {
			if c.holds(&all[i]) {
				want = append(want, all[i].number)
			}
		}
		parsed, err := parseFilter(c.text, declared)
		if err != nil {
			rt.Fatal(err)
		}
		plan, err := planOf(v, parsed, declared)
		if err != nil {
			rt.Fatal(err)
		}
		if plan.span != nil { // in the order of an attribute
			slices.Sort(got)
		} else {
			slices.Reverse(want)
		}
		if !slices.Equal(got, want) {
			rt.Fatalf("list %s\n\tgot  %d\n\twant %d", c.text, got, want)
		}
	})
}

func TestListGoesAlongARangeFromItsEnd(t *testing.T) {
	t.Parallel()
	p, all := listedPlant(t)
	got, pages := p.listAll(t, `total >= 1`, 3, maxLooked)
	var want []known
	for _, k := range all {
		if k.hasTotal && k.total >= 1 {
			want = append(want, k)
		}
	}
	slices.SortFunc(want, func(a, b known) int {
		return cmp.Or(cmp.Compare(b.total, a.total), cmp.Compare(b.number, a.number))
	})
	if len(got) != len(want) || pages < len(want)/3 {
		t.Fatalf("%d runs on %d pages, want %d", len(got), pages, len(want))
	}
	for i := range got {
		equal(t, fmt.Sprint("run ", i), got[i], want[i].number)
	}
}

func TestListLooksAtNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	p, all := listedPlant(t)
	// Nothing matches: pages are empty, and go on.
	got, pages := p.listAll(t, `version = 9`, 100, 10)
	equal(t, "runs", len(got), 0)
	if pages < len(all)/10 {
		t.Errorf("%d pages, want some %d", pages, len(all)/10)
	}
	// What an index drives looks at these runs alone.
	_, pages = p.listAll(t, `version = 9 and id = "r1"`, 100, 12)
	equal(t, "pages by id", pages, 1)
	_, pages = p.listAll(t, `version = 9 and customer = "abc" and started < "2026-01-01T00:10:00Z"`, 100, 10)
	equal(t, "pages by attribute", pages, 1)
	_, pages = p.listAll(t, `version = 9 and type = "order" and customer = "abc" and status = "completed"`, 100, 20)
	equal(t, "pages by what leaves the fewest", pages, 1)
	got, pages = p.listAll(t, `id = "r1" or (id = "r2" and version > 0) or customer in ("abc", "b") and id = "r3"`, 100, 80)
	equal(t, "pages by alternatives", pages, 1)
	if want := len(all) * 2 / 10; len(got) <= want {
		t.Errorf("%d runs by alternatives, want more than %d", len(got), want)
	}
	_, pages = p.listAll(t, `version = 9 and started >= "2026-01-01T00:39:00Z"`, 100, 10)
	equal(t, "pages by start", pages, 1)
	_, pages = p.listAll(t, `version = 9 and name prefix "abc"`, 100, 13)
	equal(t, "pages by prefix", pages, 1)
}

func TestListCursorBelongsToItsFilter(t *testing.T) {
	t.Parallel()
	p, _ := listedPlant(t)
	v := p.core.View()
	defer v.Close()
	_, cursor, err := List(v, `status = "running"`, 1, "")
	if err != nil || cursor == "" {
		t.Fatalf("cursor %q, %v", cursor, err)
	}
	_, span, err := List(v, `total > 0`, 1, "")
	if err != nil || span == "" {
		t.Fatalf("cursor %q, %v", span, err)
	}
	for name, c := range map[string][2]string{
		"another filter": {`status = "completed"`, cursor}, "none": {`status = "running"`, "abc"},
		"cut": {`status = "running"`, cursor[:len(cursor)-2]}, "of a span": {`status = "running"`, span},
		"outside":   {`total > 0`, listCursor(`total > 0`, true, indexKey("total", -7.0, 1))},
		"no number": {``, listCursor(``, false, []byte("abc"))},
		"long":      {``, strings.Repeat("a", 4000)},
	} {
		if _, _, err := List(v, c[0], 1, c[1]); event.CodeOf(err) != event.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListTellsDetails(t *testing.T) {
	t.Parallel()
	var now int64
	p := newPlant(t, &now)
	p.define("order", 1)
	p.begin(&edriv1.StartRun{Id: "o-1", Type: "order", Memo: `{"m":1}`, Attributes: `{"total":3}`})
	p.mustStep("o-1", completeRecord(`"done"`))
	v := p.core.View()
	defer v.Close()
	page, more, err := List(v, "", 10, "")
	if err != nil || len(page) != 1 || more != "" {
		t.Fatalf("%d runs, %q, %v", len(page), more, err)
	}
	r := page[0]
	equal(t, "status", r.Status, workflows.Completed)
	equal(t, "details", fmt.Sprintf("%s %s %s", r.Memo, r.Attributes, r.Result), `{"m":1} {"total":3} "done"`)
}
