package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/parser"
	gotoken "go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// Apply must not depend on the version of the library by which a node was built.
func TestEngineDoesNotImportEncodingJSON(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(gotoken.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			if path, _ := strconv.Unquote(spec.Path.Value); strings.HasPrefix(path, "encoding/json") && !strings.HasSuffix(name, "_test.go") {
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
}

// jsonTexts are what readers of JSON differ in, and what is none.
var jsonTexts = []string{
	`{"a":1,"b":[true,false,null,{}],"c":{"d":"e"}}`, ` { "a" : "b" } `, "\t[\r\n]\n", `{"a":1,"a":2}`, `{"a":{"b":1},"a":3}`, `{"a":3,"a":{"b":1}}`,
	`{"A":1,"a":2}`, `{"a":"\ud800"}`, `{"\ud800":1}`, `{"a":"\ud83d\ude00"}`, `{"a":"\ud800\u0041"}`, `{"a":"\ud8000udc00"}`, `{"a":"\ude00\ud83d"}`, `{"a":"\uD83D\uDE00x"}`,
	"{\"a\":\"\xff\"}", "{\"\xff\xfe\":\"\xed\xa0\x80\"}", `{"a":"\"\\\/\b\f\n\r\t\u0000\u00e9"}`, `{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\u12g4"}`,
	"{\"a\":\"\x01\"}", "{\"a\":\"\x7f\"}", `{"a":-0.0}`, `{"a":1e400}`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":-}`, `{"a":1e}`, `{"a":1e+5}`, `{"a":1E-05}`,
	`{"a":0.50}`, `{"a":+1}`, `{"a":12345678901234567890}`, `{"a":true,}`, `{,}`, `{"a"}`, `{"a":}`, `{"a":1 "b":2}`, `{a:1}`, `[1,]`, `[,1]`, `[1 2]`,
	`{"a":tru}`, `{"a":truex}`, `{"a":nul}`, `null`, `"a"`, `1`, `true`, ``, ` `, `{`, `[`, `"`, `"\`, `{}{}`, `{"a":1}x`, `[[1,[2]],3]`, `{"a":[0,1]}`, "\ufeff{}", "{\x00}",
	strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1),
	strings.Repeat(`{"a":`, maxDepth) + "1" + strings.Repeat("}", maxDepth), strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1),
}

// FuzzReader holds the reader to encoding/json, as of the version of Go that it took over
// from. Where a later one differs, the reader stays as it is.
func FuzzReader(f *testing.F) {
	for _, text := range jsonTexts {
		for _, pointer := range []string{"/a", "/a/b", "/0/1/0", "/\ufffd", "/", "/A", "/+1", "/a/00", "/-1"} {
			f.Add([]byte(text), pointer)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, pointer string) {
		r := jsonReader{rest: text}
		v := r.value()
		if got, want := r.ended(), json.Valid(text); got != want {
			t.Fatalf("%.100q is JSON: %v, want %v", text, got, want)
		}
		if r.ended() && !bytes.Equal(v.raw, bytes.Trim(text, " \t\r\n")) {
			t.Errorf("%.100q has the value %.100q", text, v.raw)
		}
		var object map[string]json.RawMessage
		want := json.Unmarshal(text, &object) == nil && object != nil
		given := map[string]jsonValue{}
		if got := members(text, func(name, v jsonValue) { given[name.text()] = v }); got != want {
			t.Errorf("%.100q is an object: %v, want %v", text, got, want)
		} else if want {
			equal(t, "members", fmt.Sprint(len(given)), fmt.Sprint(len(object)))
			for name, v := range given {
				wantMember(t, v, object[name])
			}
		}
		if strings.HasPrefix(pointer, "/") {
			got, ok := pointed(text, pointer)
			if want, wantOK := pointedBefore(text, pointer); got != want || ok != wantOK {
				t.Errorf("%.100q at %q is %q, %v, want %q, %v", text, pointer, got, ok, want, wantOK)
			}
		}
	})
}

func wantMember(t *testing.T, v jsonValue, raw json.RawMessage) {
	t.Helper()
	equal(t, "member", string(v.raw), string(raw))
	var text string
	if v.kind == '"' && json.Unmarshal(raw, &text) == nil {
		equal(t, "text", v.text(), text)
	}
}

// pointedBefore is what the first version of the machine did.
func pointedBefore(data []byte, pointer string) (string, bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var at any
	if d.Decode(&at) != nil {
		return "", false
	}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch in := at.(type) {
		case map[string]any:
			var ok bool
			if at, ok = in[token]; !ok {
				return "", false
			}
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(in) {
				return "", false
			}
			at = in[i]
		default:
			return "", false
		}
	}
	switch v := at.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// FuzzTime holds readTime to time.Parse, likewise.
func FuzzTime(f *testing.F) {
	for _, text := range []string{
		"2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456789+01:30", "2026-01-02T03:04:05.1234567899Z", "2026-01-02T3:04:05Z", "2026-01-02T03:04:05,5Z",
		"2026-01-02T03:04:05+24:60", "2026-01-02T03:04:05-24:60", "2026-01-02T03:04:05+25:00", "2026-01-02T03:04:05+00:61", "2024-02-29T00:00:00Z", "2026-02-29T00:00:00Z",
		"2026-00-01T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z",
		"0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-02", "2026-01-02 03:04:05Z", "2026-01-02t03:04:05z", "2026-01-02T03:04:05", "2026-01-02T03:04:05.Z", "", "tomorrow",
		"2026-01-02T03:04:05Z\n", "２026-01-02T03:04:05Z",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := readTime(text)
		want, err := time.Parse(time.RFC3339Nano, text)
		if ok != (err == nil) || ok && !got.Equal(want) {
			t.Errorf("%q is %v, %v, want %v, %v", text, got, ok, want, err)
		}
	})
}

// What readers of JSON differ in is refused where apply would have to read it.
func TestJSONThatReadersDifferInIsRefused(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	advance := func(r *edriv1.RunRecord) *edriv1.Op {
		return advanceRunOp(&edriv1.AdvanceRun{Id: "o", Advance: 1, Records: []*edriv1.RunRecord{r}})
	}
	for _, text := range []string{
		`{"total":1,"total":1}`, `{"total":1,"tot\u0061l":1}`, `{"customer":"\ud800"}`, `{"customer":"a\ude00b"}`, `{"\ud800":"x"}`, `{"total":1e400}`, `{"total":-1e309}`,
		`[]`, `null`, `"x"`, `{}{}`, `{"customer":` + strings.Repeat("[", maxNesting) + strings.Repeat("]", maxNesting) + `}`,
	} {
		start := &edriv1.StartRun{Id: "o", Type: "order", Attributes: text}
		for _, op := range []*edriv1.Op{startRunOp(start), advance(attributesRecord(text)), advance(childRecord(1, start, 0)), advance(continueRecord(&edriv1.StartRun{Attributes: text}))} {
			if got := p.refused(op); got != event.CodeInvalid {
				t.Errorf("%s in %.100v: %q", text, op, got)
			}
		}
		if text == `null` { // of what an event is to have: nothing
			continue
		}
		if got := p.refused(advance(awaitRecord(1, "news", text, ""))); got != event.CodeInvalid {
			t.Errorf("%s to be matched: %q", text, got)
		}
	}
	equal(t, "a pair", p.refused(startRunOp(&edriv1.StartRun{Id: "o", Type: "order", Attributes: `{"customer":"\ud83d\ude00","total":-0.0e1}`})), "")
	for _, text := range []string{"{\"customer\":\"\xff\"}", "{\"\xff\":\"x\"}"} { // the generated code writes none
		equal(t, "not UTF-8", event.CodeOf(checkAttributes([]byte(text))), event.CodeInvalid)
		equal(t, "not UTF-8 to be matched", event.CodeOf(checkAwait(awaitEvent{seq: 1, typ: []byte("news"), match: []byte(text)})), event.CodeInvalid)
	}
}

// enter executes a commit that is in the log, whatever a node says of it today.
func (p *plant) enter(op *edriv1.Op) *edriv1.CommitResult {
	p.Helper()
	b, err := proto.Marshal(&edriv1.Commit{Ops: []*edriv1.Op{op}})
	if err != nil {
		p.Fatalf("encode: %v", err)
	}
	return p.raw(consensus.SealCommit(nil, b, consensus.CommitInfo{}, 0))
}

// What was accepted once does what it did, for ever.
func TestJSONInTheLogIsReadAsBefore(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	number := p.enter(startRunOp(&edriv1.StartRun{Id: "o-1", Type: "order",
		Attributes: ` {"total":"x","total":2,"customer":"\ud800 \ud83d\ude00","due":"2026-01-02T3:04:05,5+01:00","rush":null,"rush":true} `,
	})).Results[0].GetRunStarted().GetNumber()
	equal(t, "attributes", string(p.detailsOf(number).Attributes), `{"customer":"`+"\ufffd \U0001F600"+`","due":"2026-01-02T02:04:05.5Z","rush":true,"total":2}`)
	advance := func(records ...*edriv1.RunRecord) *edriv1.Op {
		r := p.run("o-1")
		return advanceRunOp(&edriv1.AdvanceRun{Id: "o-1", Advance: r.Advance + 1, Nonce: 1, Records: records})
	}
	if r := p.enter(advance(attributesRecord(`{"total":3,"total":null,"rush":false}`),
		awaitRecord(1, "news", `{"/a":"1","/a":"\udc00","/b":null}`, ""), awaitRecord(2, "news", `null`, ""))); r.Error != nil {
		t.Fatal(r.Error)
	}
	equal(t, "changed", string(p.detailsOf(number).Attributes), `{"customer":"`+"\ufffd \U0001F600"+`","due":"2026-01-02T02:04:05.5Z","rush":false}`)
	p.must(appendEvent("s", cloudEvent("1", "news", "", `{"a":"x","b":"","a":"\ud800"} what is behind it`)))
	equal(t, "entries", p.run("o-1").Unread, 2)
}

// What apply says of what it cannot take is edri's own, and the same on each node.
func TestApplyHasItsOwnWords(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	for attributes, want := range map[string]string{
		`{"größe\u0001\u00ad":1}`: `attributes: workflow order declares no attribute "gr\u00f6\u00dfe\x01\u00ad"`,
		`{"due":"\u00admorgen"}`:  `attribute due: "\u00admorgen" is no time of RFC 3339`,
		`{"total":1e400}`:         `attribute total: is beyond what a number can be`,
		`{"total":[1e400]}`:       `attribute total: is no number`,
		`[1`:                      `attributes: is no JSON object`,
		`{"a":1}}`:                `attributes: is no JSON object`,
		"{\"customer\":\"\x01\"}": `attributes: is no JSON object`,
	} {
		equal(t, attributes, p.enter(startRunOp(&edriv1.StartRun{Id: "o", Type: "order", Attributes: attributes})).GetError().GetMessage(), want)
	}
	number := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	for _, match := range []string{`[]`, `{"a":1}`, `{"a"`} {
		r := p.enter(advanceRunOp(&edriv1.AdvanceRun{Id: "o-1", Number: number, Advance: 1, Records: []*edriv1.RunRecord{awaitRecord(1, "news", match, "")}}))
		equal(t, match, r.GetError().GetMessage(), "match: is no JSON object of texts")
	}
	equal(t, "waits", p.count(kindAwait), 0)
}
