package managerstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

type (
	effects = managers.Effects
	ctx     = context.Context
)

// attempts returns a handler that tells each attempt and then does as then says.
func attempts(seen chan<- int, then func(attempt int, ctx ctx) (effects, error)) func(ctx, thing) (effects, error) {
	return func(ctx ctx, _ thing) (effects, error) {
		attempt := managers.DeliveryFrom(ctx).Attempt
		seen <- attempt
		return then(attempt, ctx)
	}
}

func handlesOnce(s *scene) {
	const count = 50
	typ, out := s.named("placed"), s.named("out")
	s.subscribe("m", typ, event.Subscription{})
	for n := range count {
		s.append(typ, n)
	}
	s.append(s.named("other"), 0) // is not selected
	m := s.manager("m", managers.Config{Concurrency: 8})
	managers.Handle(m, typ, func(_ ctx, t thing) (effects, error) {
		return managers.Emit(out, "made", t), nil
	})
	stop := s.run(m)
	s.until("all effects are there", func() bool { return len(s.stream("out")) >= count })
	s.append(typ, count)
	s.until("the live event's effect is there", func() bool { return len(s.stream("out")) > count })
	if err := stop(); err != nil {
		s.Fatal(err)
	}
	causes := make(map[string]int)
	for _, e := range s.stream("out") {
		causes[e.Extensions[event.AttrCausation].String()]++
	}
	for _, e := range s.stream("things")[:count] {
		if causes[e.ID] != 1 {
			s.Errorf("event %s has %d effects", e.ID, causes[e.ID])
		}
	}
	if len(causes) != count+1 {
		s.Errorf("effects of %d events, want %d", len(causes), count+1)
	}
}

func doneWithoutEffects(s *scene) {
	typ, out := s.named("placed"), s.named("out")
	seen := make(chan int, 100)
	m := s.manager("m", managers.Config{})
	managers.Handle(m, typ, func(_ ctx, t thing) (effects, error) {
		seen <- t.Number
		switch t.Number {
		case 0:
			return effects{}, nil
		case 1:
			return managers.Emit(out, "made", t), managers.ErrSkip
		}
		return managers.Emit(out, "made", t), nil
	})
	s.subscribe("m", typ, event.Subscription{})
	s.run(m)
	for n := range 3 {
		s.append(typ, n)
	}
	s.until("the last effect is there", func() bool { return len(s.stream("out")) > 0 })
	for want := range 3 {
		if got := receive(s, seen); got != want {
			s.Errorf("handled event %d, want %d", got, want)
		}
	}
	if n := len(s.stream("out")); n != 1 {
		s.Errorf("%d effects, want 1: a skipped event has none", n)
	}
}

func failsToDeadLetters(s *scene) {
	typ, out := s.named("placed"), s.named("out")
	seen := make(chan int, 100)
	s.subscribe("m", typ, event.Subscription{MaxDeliver: 3})
	m := s.manager("m", managers.Config{Subscription: event.Subscription{MaxDeliver: 3}})
	managers.Handle(m, typ, func(ctx ctx, t thing) (effects, error) {
		if t.Number == 1 {
			return managers.Emit(out, "made", t), nil
		}
		seen <- managers.DeliveryFrom(ctx).Attempt
		return managers.Emit(out, "made", t), errors.New("no stock")
	})
	position := s.append(typ, 0)
	s.run(m)
	for want := 1; want <= 3; want++ {
		if got := receive(s, seen); got != want {
			s.Errorf("attempt %d, want %d", got, want)
		}
	}
	s.append(typ, 1)
	s.until("the next event is handled", func() bool { return len(s.stream("out")) > 0 })
	s.until("there is a dead letter", func() bool { return len(s.dead("m")) > 0 })
	dead := s.dead("m")[0]
	if dead.Position != position || len(dead.Reasons) != 3 ||
		slices.ContainsFunc(dead.Reasons, func(r string) bool { return !strings.Contains(r, "no stock") }) {
		s.Errorf("dead letter %+v, want position %d with 3 times no stock", dead, position)
	}
	if n := len(s.stream("out")); n != 1 {
		s.Errorf("%d effects, want 1: a failure has none", n)
	}
}

func rejects(s *scene) {
	typ := s.named("placed")
	s.subscribe("m", typ, event.Subscription{})
	m := s.manager("m", managers.Config{})
	managers.Handle(m, typ, func(_ ctx, t thing) (effects, error) {
		return effects{}, fmt.Errorf("check: %w", managers.Reject(errors.New("no such article")))
	})
	s.append(typ, 0)
	s.run(m)
	s.until("there is a dead letter", func() bool { return len(s.dead("m")) > 0 })
	if got := s.dead("m")[0].Reasons; len(got) != 1 || !strings.Contains(got[0], "no such article") {
		s.Errorf("reasons %q", got)
	}
}

func triesAgainLater(s *scene) {
	typ := s.named("placed")
	seen := make(chan int, 100)
	backoff := event.Subscription{Backoff: []time.Duration{time.Hour}}
	s.subscribe("m", typ, backoff)
	m := s.manager("m", managers.Config{Subscription: backoff})
	managers.Handle(m, typ, attempts(seen, func(attempt int, _ ctx) (effects, error) {
		if attempt == 1 {
			return effects{}, managers.RetryAfter(errors.New("busy"), 10*time.Millisecond)
		}
		return effects{}, nil
	}))
	s.append(typ, 0)
	s.run(m)
	for want := 1; want <= 2; want++ {
		if got := receive(s, seen); got != want {
			s.Errorf("attempt %d, want %d", got, want)
		}
	}
}

func panics(s *scene) {
	typ, out := s.named("placed"), s.named("out")
	seen := make(chan int, 100)
	s.subscribe("m", typ, event.Subscription{})
	m := s.manager("m", managers.Config{})
	managers.Handle(m, typ, attempts(seen, func(attempt int, _ ctx) (effects, error) {
		if attempt == 1 {
			panic("out of range")
		}
		return managers.Emit(out, "made", nil), nil
	}))
	s.append(typ, 0)
	s.run(m)
	s.until("the effect is there", func() bool { return len(s.stream("out")) == 1 })
	if first, second := receive(s, seen), receive(s, seen); first != 1 || second != 2 {
		s.Errorf("attempts %d and %d, want 1 and 2", first, second)
	}
}

func conflicts(s *scene) {
	typ, out := s.named("placed"), s.named("out")
	s.subscribe("m", typ, event.Subscription{})
	m := s.manager("m", managers.Config{})
	managers.Handle(m, typ, func(ctx ctx, t thing) (effects, error) {
		e := managers.Emit(out, "made", t)
		e.Emit(s.named("more"), "made", t)
		if managers.DeliveryFrom(ctx).Attempt == 1 {
			e.Appends[0].Expected = 7 // the stream is not there yet
		}
		return e, nil
	})
	s.append(typ, 0)
	s.run(m)
	s.until("the effect is there", func() bool { return len(s.stream("out")) == 1 })
	if n := len(s.stream("more")); n != 1 {
		s.Errorf("%d of the effects beside it, want 1: all or nothing", n)
	}
}

func answers(s *scene) {
	typ := s.named("asked")
	s.subscribe("m", typ, event.Subscription{})
	m := s.manager("m", managers.Config{})
	deadlines := make(chan time.Time, 100)
	managers.Handle(m, typ, func(ctx ctx, t thing) (e effects, err error) {
		deadlines <- managers.DeliveryFrom(ctx).Deadline
		e.Respond(thing{t.Number + 1})
		return e, nil
	})
	s.run(m)
	response, err := s.Call(s.ctx, event.Event{
		ID: s.named("request"), Source: "/managerstest", Type: typ,
		DataContentType: "application/json", Data: []byte(`{"number":1}`),
	})
	if err != nil {
		s.Fatalf("call: %v", err)
	}
	if got := string(response.Data); got != `{"number":2}` || response.Type != typ+".response" {
		s.Errorf("response %s of type %s", got, response.Type)
	}
	if receive(s, deadlines).IsZero() {
		s.Error("the handler saw no deadline")
	}
}

// answersGivenUp has one subscription that looks on give a request up, and then the one
// that should answer: the caller hears of the second alone, and long before its deadline.
func answersGivenUp(s *scene) {
	typ := s.named("asked")
	for _, name := range []string{"looks on", "m"} {
		s.subscribe(name, typ, event.Subscription{})
	}
	rejects := func(name, why string) {
		m := s.manager(name, managers.Config{})
		managers.Handle(m, typ, func(ctx, thing) (effects, error) { return effects{}, managers.Reject(errors.New(why)) })
		s.run(m)
	}
	responses := make(chan event.Event, 1)
	go func() {
		response, _ := s.Call(s.ctx, event.Event{ // the problem is the error
			ID: s.named("request"), Source: "/managerstest", Type: typ,
			DataContentType: "application/json", Data: []byte(`{"number":1}`),
		})
		responses <- response
	}()
	rejects("looks on", "not for me")
	s.until("it is given up", func() bool { return len(s.dead("looks on")) == 1 })
	rejects("m", "no such article")
	response := receive(s, responses)
	var problem struct{ Type, Detail string }
	if err := json.Unmarshal(response.Data, &problem); err != nil || problem.Type != event.ProblemGivenUp || !strings.Contains(problem.Detail, "no such article") {
		s.Errorf("response %s, %v", response.Data, err)
	}
}
