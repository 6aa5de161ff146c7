package consensus_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// registers is a toy state machine: operation 16 sets "key=value", 17 does the
// same and then fails, 18 counts the keys, 19 breaks.
type registers struct{}

var errBroken = errors.New("broken")

func (registers) Name() string              { return "registers" }
func (registers) Ops() (first, last uint32) { return 16, 19 }
func (registers) Check(_ uint32, b []byte) error {
	if len(b) > 20 {
		return event.TooLarge("register in bytes", int64(len(b)), 20)
	}
	return nil
}

func (registers) Apply(tx *consensus.Tx, op uint32, body []byte) ([]byte, error) {
	switch op {
	case 18:
		n := 0
		it := tx.Scan(nil, nil, false)
		defer it.Close()
		for it.Next() {
			n++
		}
		return protowire.AppendVarint(protowire.AppendTag(nil, 18, protowire.VarintType), uint64(n)), it.Err()
	case 19:
		return nil, errBroken
	}
	last, err := tx.Get([]byte("last"))
	if err != nil {
		return nil, err
	}
	value := append(binary.BigEndian.AppendUint64(nil, tx.Incarnation()), last...)
	tx.Put(body, value[:min(len(value), 40)])
	tx.Put([]byte("last"), body)
	tx.Put([]byte("position"), []byte(tx.Position().String()))
	if op == 17 {
		return nil, event.Errorf(event.CodeExists, "told to fail")
	}
	return nil, nil
}

func register(op protowire.Number, body string) *edriv1.Op {
	o := &edriv1.Op{}
	b := protowire.AppendTag(nil, op, protowire.BytesType)
	o.ProtoReflect().SetUnknown(protowire.AppendString(b, body))
	return o
}

func (h *harness) register(key string) string {
	h.Helper()
	v := h.core.View()
	defer v.Close()
	b, err := v.Get("registers", []byte(key))
	if err != nil {
		h.Fatal(err)
	}
	if len(b) < 8 || key == "position" {
		return string(b)
	}
	return fmt.Sprintf("%d %s", binary.BigEndian.Uint64(b), b[8:])
}

func TestStateMachineCommitsTogetherWithAppends(t *testing.T) {
	t.Parallel()
	h := newHarness(t, registers{})
	r := h.raw(h.seal(alone(add("a", "1"), register(16, "x"), add("a", "2"))))[0].Result
	var result edriv1.CommitResult
	if err := proto.Unmarshal(r, &result); err != nil || brief(&result) != "2: 1@1 ok 2@2" {
		t.Fatalf("got %q, error %v", brief(&result), err)
	}
	if h.register("x") != "1 " || h.register("position") != "1" {
		t.Errorf("x is %q, position %q", h.register("x"), h.register("position"))
	}
	// The append fails: the register is not set either, nor the number used.
	h.raw(h.seal(alone(register(16, "y"), at(9, add("a", "3")))))
	if h.register("y") != "" || h.register("last") != "x" {
		t.Errorf("y is %q, last is %q", h.register("y"), h.register("last"))
	}
	// The register fails: the append is undone, and half of an operation too.
	h.raw(h.seal(alone(add("a", "3"), register(17, "z"))))
	if h.register("z") != "" || h.core.Meta().Mark.Last != 2 {
		t.Errorf("z is %q, the journal ends at %d", h.register("z"), h.core.Meta().Mark.Last)
	}
	// With each, what fails is undone alone.
	h.raw(h.seal(each(alone(register(16, "v"), register(17, "z"), register(16, "w"), add("a", "4")))))
	if h.register("v") != "2 x" || h.register("z") != "" || h.register("w") != "3 v" || h.core.Meta().Mark.Last != 3 {
		t.Errorf("v %q, z %q, w %q, journal ends at %d", h.register("v"), h.register("z"), h.register("w"), h.core.Meta().Mark.Last)
	}
	if s := h.openSession(); s != 4 {
		t.Errorf("the next number is %d, want 4", s)
	}
	h.reopen(true)
	if h.register("w") != "3 v" {
		t.Errorf("after reopening w is %q", h.register("w"))
	}
}

func TestStateMachineResultIsCarried(t *testing.T) {
	t.Parallel()
	h := newHarness(t, registers{})
	h.raw(h.seal(alone(register(16, "x"))))
	r := h.raw(h.seal(alone(register(18, ""))))[0].Result
	// CommitResult{results: [OpResult{18: 3}]}
	if want := []byte{0x22, 3, 0x90, 1, 3}; string(r) != string(want) {
		t.Errorf("got % x, want % x", r, want)
	}
}

func TestBrokenStateMachineStopsTheCore(t *testing.T) {
	t.Parallel()
	h := newHarness(t, registers{})
	if _, err := h.try(h.seal(alone(add("a", "1"), register(19, "")))); !errors.Is(err, errBroken) {
		t.Fatalf("got error %v", err)
	}
	if _, err := h.try(h.seal(alone(add("a", "1")))); !errors.Is(err, errBroken) {
		t.Errorf("the next entry: got error %v", err)
	}
}

func TestPanicOfStateMachineIsAnError(t *testing.T) {
	t.Parallel()
	h := newHarness(t, registers{})
	commit := h.seal(alone(register(16, ""))) // puts a row with an empty key
	if _, err := h.try(commit); !errors.Is(err, consensus.ErrPanic) {
		t.Fatalf("got error %v", err)
	}
	if _, err := h.try(commit); !errors.Is(err, consensus.ErrPanic) {
		t.Errorf("the next entry: got error %v", err)
	}
}

func TestOperationOfNoMachineStopsTheCore(t *testing.T) {
	t.Parallel()
	with, without := newHarness(t, registers{}), newHarness(t)
	if _, err := without.try(with.seal(alone(register(16, "x")))); !errors.Is(err, consensus.ErrUndecodable) {
		t.Errorf("got error %v", err)
	}
}

type named struct {
	registers
	name        string
	first, last uint32
}

func (n named) Name() string          { return n.name }
func (n named) Ops() (uint32, uint32) { return n.first, n.last }

func TestMachinesMustNotOverlap(t *testing.T) {
	t.Parallel()
	for _, machines := range [][]consensus.StateMachine{
		{named{name: "a", first: 15, last: 20}},
		{named{name: "a", first: 90, last: 100}},
		{named{name: "a", first: 20, last: 19}},
		{named{name: "a", first: 16, last: 20}, named{name: "b", first: 20, last: 21}},
		{named{name: "a", first: 16, last: 20}, named{name: "a", first: 21, last: 22}},
		{named{name: "streams", first: 16, last: 20}},
		{named{name: "", first: 16, last: 20}},
		{named{name: "Upper", first: 16, last: 20}},
	} {
		if _, err := consensus.NewMux(machines...); err == nil {
			t.Errorf("%+v were accepted", machines)
		}
	}
	if _, err := consensus.NewMux(named{name: "b", first: 21, last: 99}, named{name: "a", first: 16, last: 20}); err != nil {
		t.Error(err)
	}
}
