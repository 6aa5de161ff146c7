package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/edriv1connect"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
	"github.com/edri-io/edri/store"
)

// positions reads all that matches.
func (f *fixture) positions(q client.Query) []event.Position {
	f.t.Helper()
	var got []event.Position
	for e, err := range f.client.Read(testContext(f.t), q) {
		if err != nil {
			f.t.Fatalf("read %+v: %v", q, err)
		}
		got = append(got, e.Position)
	}
	return got
}

func ascending(from, to int) []event.Position {
	var all []event.Position
	for p := from; p <= to; p++ {
		all = append(all, event.Position(p))
	}
	return all
}

func descending(from, to int) []event.Position {
	all := ascending(to, from)
	slices.Reverse(all)
	return all
}

func TestReadsGoOverBatchesWithoutGap(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.fill(2500)
	for name, tc := range map[string]struct {
		query client.Query
		want  []event.Position
	}{
		"all":                {client.Query{}, ascending(1, 2500)},
		"stream":             {client.Query{Stream: "s"}, ascending(1, 2500)},
		"range":              {client.Query{From: 7, To: 1500}, ascending(7, 1500)},
		"beyond the end":     {client.Query{From: 2499, To: 9999}, ascending(2499, 2500)},
		"after the end":      {client.Query{From: 9999}, nil},
		"limit":              {client.Query{From: 5, Limit: 1234}, ascending(5, 1238)},
		"reverse":            {client.Query{Reverse: true}, descending(2500, 1)},
		"reverse range":      {client.Query{Reverse: true, From: 7, To: 1500}, descending(1500, 7)},
		"reverse limit":      {client.Query{Reverse: true, Limit: 3}, descending(2500, 2498)},
		"nothing matches":    {client.Query{Stream: "none"}, nil},
		"time":               {client.Query{Since: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)}, ascending(1, 2500)},
		"later":              {client.Query{Since: time.Now().Add(time.Hour)}, nil},
		"type prefix":        {client.Query{TypePrefix: "test.", Limit: 2}, ascending(1, 2)},
		"linearizable":       {client.Query{Limit: 1, Consistency: client.Linearizable}, ascending(1, 1)},
		"min position there": {client.Query{From: 2500, MinPosition: 2500}, ascending(2500, 2500)},
	} {
		if got := f.positions(tc.query); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %d positions %v…, want %d", name, len(got), got[:min(len(got), 5)], len(tc.want))
		}
	}
	if !slices.Contains(f.node.awaited, true) {
		t.Error("no read was awaited as linearizable")
	}
}

// Windows bound what one view looks at; a rare match far behind is found.
func TestReadsGoOverWindowsOfPositions(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	if _, err := f.client.Append(testContext(t), "rare", 0, testEvent("first")); err != nil {
		t.Fatalf("append: %v", err)
	}
	f.fill(batchPositions + 1000)
	last, err := f.client.Append(testContext(t), "rare", 1, testEvent("last"))
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	want := []event.Position{1, last.Position}
	if got := f.positions(client.Query{Stream: "rare"}); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	slices.Reverse(want)
	if got := f.positions(client.Query{Stream: "rare", Reverse: true}); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	r := f.client.OpenTail(testContext(t), client.Query{Stream: "rare", Limit: 2})
	defer r.Close()
	for range 2 {
		if !r.Next() {
			t.Fatalf("the tail ended: %v", r.Err())
		}
	}
	if r.Event().Position != last.Position {
		t.Errorf("the tail ended at %d: %v", r.Event().Position, r.Err())
	}
}

func TestCursorsGoOnInBothDirections(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.fill(30)
	for _, reverse := range []bool{false, true} {
		want := ascending(1, 30)
		if reverse {
			want = descending(30, 1)
		}
		var got []event.Position
		cursor := ""
		for range 10 {
			r := f.client.OpenRead(testContext(t), client.Query{Reverse: reverse, Limit: 4, Cursor: cursor})
			for r.Next() {
				got = append(got, r.Event().Position)
			}
			if r.Err() != nil {
				t.Fatalf("read: %v", r.Err())
			}
			cursor = r.Cursor()
		}
		if !slices.Equal(got, want) {
			t.Errorf("reverse %v: got %v", reverse, got)
		}
		// The end of a read is a cursor too: what comes later is behind it.
		if reverse {
			continue
		}
		if _, err := f.client.Append(testContext(t), "s", event.ExpectAny, testEvent("31")); err != nil {
			t.Fatalf("append: %v", err)
		}
		if got := f.positions(client.Query{Cursor: cursor}); !slices.Equal(got, ascending(31, 31)) {
			t.Errorf("behind the end: got %v", got)
		}
		r := f.client.OpenRead(testContext(t), client.Query{Reverse: true, Limit: 1, Cursor: cursor})
		if r.Next() || event.CodeOf(r.Err()) != event.CodeInvalid {
			t.Errorf("a cursor of the other direction: %v", r.Err())
		}
		f = serve(t, Config{})
		f.fill(30)
	}
}

func TestBadReadsAreTypedErrors(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.fill(3)
	good := f.client.OpenRead(testContext(t), client.Query{Stream: "s", Limit: 1})
	good.Next()
	for name, tc := range map[string]struct {
		query client.Query
		tail  bool
		says  string
	}{
		"bad cursor":             {query: client.Query{Cursor: "nonsense"}, says: "nonsense"},
		"cursor of other filter": {query: client.Query{Stream: "t", Cursor: good.Cursor()}, says: "filter"},
		"range":                  {query: client.Query{From: 9, To: 8}, says: "9"},
		"control character":      {query: client.Query{Subject: "a\nb"}, says: "subject"},
		"long name":              {query: client.Query{Type: strings.Repeat("t", 256)}, says: "255"},
		"time":                   {query: client.Query{Since: time.Unix(9, 0), Until: time.Unix(8, 0)}, says: "since"},
		"tail in reverse":        {query: client.Query{Reverse: true}, tail: true, says: "reverse"},
	} {
		open := f.client.OpenRead
		if tc.tail {
			open = f.client.OpenTail
		}
		r := open(testContext(t), tc.query)
		if r.Next() {
			t.Errorf("%s: got an event", name)
		}
		if e := wantCode(t, r.Err(), event.CodeInvalid); !strings.Contains(e.Message, tc.says) {
			t.Errorf("%s: no %q in %q", name, tc.says, e.Message)
		}
	}
	if _, err := newScan(f.node, &edriv1.ReadRequest{From: 1 << 63}, false); err != nil {
		t.Errorf("a start far beyond the end: %v", err)
	}
}

func TestMinPositionWaitsToTheDeadline(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.fill(3)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r := f.client.OpenRead(ctx, client.Query{MinPosition: 4})
	if r.Next() {
		t.Error("got an event")
	}
	wantCode(t, r.Err(), event.CodeDeadlineExceeded)

	got := make(chan int, 1)
	go func() {
		n := 0
		for _, err := range f.client.Read(testContext(t), client.Query{MinPosition: 4}) {
			if err == nil {
				n++
			}
		}
		got <- n
	}()
	if _, err := f.client.Append(testContext(t), "s", event.ExpectAny, testEvent("4")); err != nil {
		t.Fatalf("append: %v", err)
	}
	if n := <-got; n != 4 {
		t.Errorf("read %d events, want 4", n)
	}
}

func TestTailFollowsWhatIsAppended(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.fill(1500)
	r := f.client.OpenTail(testContext(t), client.Query{Stream: "s", From: 1499})
	defer r.Close()
	for want := event.Position(1499); want <= 1520; want++ {
		if want > 1500 {
			go f.client.Append(testContext(t), "s", event.ExpectAny, testEvent(want.String()))
		}
		if !r.Next() {
			t.Fatalf("tail ended: %v", r.Err())
		}
		if got := r.Event().Position; got != want {
			t.Fatalf("got %d, want %d", got, want)
		}
	}
}

func TestTailSaysHowFarItLookedWithoutMatches(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	r := f.client.OpenTail(testContext(t), client.Query{Stream: "other", To: 40})
	defer r.Close()
	ended := make(chan bool, 1)
	go func() { ended <- r.Next() }()
	f.fill(40)
	if <-ended || r.Err() != nil {
		t.Fatalf("the tail did not end at 40: %v", r.Err())
	}
	next := f.client.OpenRead(testContext(t), client.Query{Stream: "other", Cursor: r.Cursor()})
	if next.Next() || next.Err() != nil {
		t.Errorf("the cursor of a tail without events: %v", next.Err())
	}
}

// busy appends events to stream s, one right after the other, until the test ends.
func (f *fixture) busy() {
	ctx, stop := context.WithCancel(f.t.Context())
	var appending sync.WaitGroup
	appending.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			if _, err := f.client.Append(ctx, "s", event.ExpectAny, testEvent(fmt.Sprint("busy ", n))); err != nil && ctx.Err() == nil {
				f.t.Errorf("append: %v", err)
				return
			}
		}
	})
	f.t.Cleanup(func() {
		stop()
		appending.Wait()
	})
}

// Where others are so busy that the tail never waits long, its cursor goes on all the same.
func TestTailSaysHowFarItLookedWhileOthersAreBusy(t *testing.T) {
	t.Parallel()
	f := serveSaying(t, Config{}, 300*time.Millisecond)
	f.fill(1)
	f.busy()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	raw := edriv1connect.NewEventsClient(http2Client(t), f.url)
	tail, err := raw.Tail(ctx, connect.NewRequest(&edriv1.ReadRequest{Stream: "other"}))
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	last, began := event.Position(0), time.Now()
	const marks = 6
	for n := range marks {
		if !tail.Receive() {
			t.Fatalf("mark %d: %v", n, tail.Err())
		}
		cursor, err := log.ParseCursor(tail.Msg().Cursor, testEpoch)
		if err != nil || cursor.Position <= last && n > 0 {
			t.Fatalf("mark %d is at %d, after %d: %v", n, cursor.Position, last, err)
		}
		last = cursor.Position
	}
	// At an interval, not with each event that others append.
	if least := (marks - 1) * f.service.progress; time.Since(began) < least/2 {
		t.Errorf("%d marks within %v", marks, time.Since(began))
	}
}

func TestStreamsEndWhenTheNodeStops(t *testing.T) {
	t.Parallel()
	lifetime, stop := context.WithCancel(t.Context())
	f := serve(t, Config{Lifetime: lifetime})
	f.fill(1) // opens a CommitStream
	tail := rawTail(t, f)
	if !tail.Receive() {
		t.Fatalf("tail: %v", tail.Err())
	}
	stop()
	for tail.Receive() {
	}
	if err := tail.Err(); connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "stopping") {
		t.Errorf("got %v", err)
	}
	eventually(t, "all streams are closed", func() bool {
		return value(t, f.service.metrics.open.WithLabelValues("/edri.v1.Events/CommitStream")) == 0
	})
	batch := map[string]string{"Accept": mediaBatch}
	for path, header := range map[string]map[string]string{"/readyz": nil, "/v1/events": batch} {
		response, body := f.do("GET", path, header, "")
		if response.StatusCode != 503 || !strings.Contains(body, "stopping") {
			t.Errorf("%s: got %d %s", path, response.StatusCode, body)
		}
	}
}

// rawTail is one call of Tail, which nobody repeats.
func rawTail(t *testing.T, f *fixture) *connect.ServerStreamForClient[responseFrame] {
	t.Helper()
	c := connect.NewClient[readFrame, responseFrame](http2Client(t), f.url+edriv1connect.EventsTailProcedure,
		connect.WithCodec(wire.Binary{}))
	tail, err := c.CallServerStream(testContext(t), connect.NewRequest(&readFrame{}))
	if err != nil {
		t.Fatalf("tail: %v", err)
	}
	t.Cleanup(func() { _ = tail.Close() })
	return tail
}

func TestTailLeavesANodeThatIsCutOff(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.node.with(func() { f.node.notReady = errors.New("no leader is known") })
	tail := rawTail(t, f)
	for tail.Receive() {
	}
	if err := tail.Err(); connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("got %v", err)
	}
}

// The first response says how far the read goes, so that it can go on elsewhere.
func TestReadsSayWhereTheyEnd(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.fill(30)
	raw := edriv1connect.NewEventsClient(http2Client(t), f.url)
	for name, tc := range map[string]struct {
		request *edriv1.ReadRequest
		want    uint64
	}{
		"all":     {&edriv1.ReadRequest{}, 30},
		"to":      {&edriv1.ReadRequest{To: 7}, 7},
		"beyond":  {&edriv1.ReadRequest{To: 99}, 30},
		"reverse": {&edriv1.ReadRequest{Reverse: true}, 0},
	} {
		stream, err := raw.Read(testContext(t), connect.NewRequest(tc.request))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !stream.Receive() || stream.Msg().End != tc.want {
			t.Errorf("%s: got end %d and %v, want %d", name, stream.Msg().End, stream.Err(), tc.want)
		}
		_ = stream.Close()
	}
}

// A read that waits for what its node cannot get, since it is cut off, is sent
// away; while the node is in its cluster the read waits.
func TestReadsDoNotWaitAtANodeThatIsCutOff(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.fill(1)
	f.node.with(func() { f.node.notReady = errors.New("no leader is known") })
	raw := edriv1connect.NewEventsClient(http2Client(t), f.url)
	_, err := raw.Get(testContext(t), connect.NewRequest(&edriv1.GetRequest{Position: 2, MinPosition: 2}))
	if connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("got %v", err)
	}
}

func TestGetStreamsAndStatus(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{Version: "v1"})
	ctx := testContext(t)
	for i := range 25 {
		if _, err := f.client.Append(ctx, fmt.Sprintf("order/%02d", i), 0, testEvent(fmt.Sprint(i))); err != nil {
			t.Fatalf("append: %v", err)
		}
	}
	got, err := f.client.Get(ctx, 3, client.ReadOptions{Consistency: client.Linearizable, MinPosition: 3})
	if err != nil || got.ID != "2" || got.Stream != "order/02" || got.Revision != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = f.client.Get(ctx, 26, client.ReadOptions{})
	wantCode(t, err, event.CodeNotFound)
	var names []string
	for s, err := range f.client.Streams(ctx, "order/1") {
		if err != nil {
			t.Fatalf("streams: %v", err)
		}
		names = append(names, s.Name)
	}
	if len(names) != 10 || names[0] != "order/10" || names[9] != "order/19" {
		t.Errorf("got streams %v", names)
	}
	page, err := f.service.listStreams(ctx, &listFrame{Bytes: []byte("\x0a\x06order/\x18\x0a")})
	if err != nil || len(page.Streams) != 10 || !page.More {
		t.Errorf("got page %v, %v", page, err)
	}
	if s, err := f.client.Stream(ctx, "order/03", client.ReadOptions{}); err != nil || s.Position != 4 || s.Revision != 1 {
		t.Errorf("got %+v, %v", s, err)
	}
	_, err = f.client.Stream(ctx, "order/", client.ReadOptions{})
	wantCode(t, err, event.CodeNotFound)
	status, err := f.client.Status(ctx)
	if err != nil || status.NodeID != "n1-1" || status.Version != "v1" || !status.Ready || status.LastPosition != 25 ||
		status.Epoch != testEpoch || len(status.Members) != 1 || status.LastStamp.IsZero() {
		t.Errorf("got %+v, %v", status, err)
	}
}

func TestHealthAndMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	f := serve(t, Config{Registerer: registry})
	f.fill(2)
	f.positions(client.Query{})
	if response, body := f.do("GET", "/livez", nil, ""); response.StatusCode != 200 || !strings.Contains(body, "live") {
		t.Errorf("got %d %s", response.StatusCode, body)
	}
	if response, body := f.do("GET", "/readyz", nil, ""); response.StatusCode != 200 || !strings.Contains(body, "ready") {
		t.Errorf("got %d %s", response.StatusCode, body)
	}
	f.node.with(func() { f.node.notReady = errors.New("no leader is known") })
	if response, body := f.do("GET", "/readyz", nil, ""); response.StatusCode != 503 || !strings.Contains(body, "no leader is known") {
		t.Errorf("got %d %s", response.StatusCode, body)
	}
	if got := value(t, f.service.metrics.eventsRead); got != 2 {
		t.Errorf("%v events are counted as read, want 2", got)
	}
	if got := value(t, f.service.metrics.requests.WithLabelValues("/edri.v1.Events/Read", "ok")); got != 1 {
		t.Errorf("%v reads are counted, want 1", got)
	}
	if _, err := newService(Config{Node: f.node, Registerer: registry}); err == nil {
		t.Error("the same series were registered twice")
	}
}

// value collects the value of one counter or gauge.
func value(t *testing.T, c prometheus.Collector) float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(c); err != nil {
		t.Fatalf("register: %v", err)
	}
	families, err := r.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("gathered %d series, %v", len(families), err)
	}
	m := families[0].GetMetric()[0]
	return m.GetCounter().GetValue() + m.GetGauge().GetValue()
}

func TestDamageThatAReadMeetsIsReported(t *testing.T) {
	t.Parallel()
	var reported error
	s, err := newService(Config{Node: newFakeNode(t), Corrupt: func(err error) { reported = err }})
	if err != nil {
		t.Fatalf("new service: %v", err)
	}
	damage := fmt.Errorf("read segment 7: %w", store.ErrCorrupt)
	if e := s.failures.public(t.Context(), damage); e.Code != event.CodeInternal || strings.Contains(e.Message, "segment") {
		t.Errorf("the caller sees %v", e)
	}
	if !errors.Is(reported, store.ErrCorrupt) {
		t.Errorf("reported %v", reported)
	}
}

// A handler that appends for each event it tails must not wait for itself: what
// a tail has not read yet may not take the connection's whole window.
func TestASlowTailDoesNotHoldUpWrites(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	big := testEvent("")
	big.Data = make([]byte, 256<<10)
	for i := range 80 {
		big.ID = fmt.Sprint(i)
		if _, err := f.client.Append(testContext(t), "big", event.ExpectAny, big); err != nil {
			t.Fatalf("append: %v", err)
		}
	}
	tails := make([]*client.Reader, 5)
	for i := range tails {
		tails[i] = f.client.OpenTail(testContext(t), client.Query{Stream: "big"})
		defer tails[i].Close()
		if !tails[i].Next() {
			t.Fatalf("tail: %v", tails[i].Err())
		}
	}
	for i := range 20 {
		if _, err := f.client.Append(testContext(t), "small", event.ExpectAny, testEvent("small"+fmt.Sprint(i))); err != nil {
			t.Fatalf("append beside a slow tail: %v", err)
		}
	}
}
