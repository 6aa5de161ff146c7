package interop

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"

	format "github.com/cloudevents/sdk-go/binding/format/protobuf/v2"
	sdk "github.com/cloudevents/sdk-go/v2/event"

	"github.com/edri-io/edri/event"
)

// realEvents names a file of events from elsewhere, one in JSON on each line: what
// others write is more varied than what a generator thinks of.
const realEvents = "EDRI_REAL_EVENTS"

func TestRealEventsAgree(t *testing.T) {
	t.Parallel()
	path := os.Getenv(realEvents)
	if path == "" {
		t.Skipf("%s names no file", realEvents)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 2*event.MaxDataBytes)
	n := 0
	for lines.Scan() {
		n++
		realEventAgrees(t, n, lines.Bytes())
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d events agree", n)
}

func realEventAgrees(t *testing.T, line int, text []byte) {
	ours, err := event.DecodeJSON(text)
	if err != nil {
		t.Fatalf("line %d: %v", line, err)
	}
	want := viewEdri(ours, true)

	var theirs sdk.Event
	if err := json.Unmarshal(text, &theirs); err != nil {
		t.Fatalf("line %d: the SDK: %v", line, err)
	}
	if got := viewSDK(t, theirs, true); !got.equal(want) {
		t.Errorf("line %d: the SDK reads %v, we %v", line, got, want)
	}
	var back sdk.Event
	if err := json.Unmarshal(ours.AppendJSON(nil), &back); err != nil {
		t.Fatalf("line %d: our JSON in the SDK: %v", line, err)
	}
	if got := viewSDK(t, back, true); !got.equal(want) {
		t.Errorf("line %d: our JSON is %v in the SDK, want %v", line, got, want)
	}

	encoded, err := format.Protobuf.Marshal(&theirs)
	if err != nil {
		t.Fatalf("line %d: the SDK: %v", line, err)
	}
	decoded, err := event.DecodeEvent(encoded)
	if err != nil {
		t.Fatalf("line %d: the SDK's protobuf: %v", line, err)
	}
	if got := viewEdri(decoded, true); !got.equal(want) {
		t.Errorf("line %d: the SDK's protobuf is %v, want %v", line, got, want)
	}
	message := decode(t, event.AppendEvent(nil, &ours))
	asBinary(message)
	read, err := format.FromProto(message)
	if err != nil {
		t.Fatalf("line %d: our protobuf in the SDK: %v", line, err)
	}
	if got := viewSDK(t, *read, true); !got.equal(want) {
		t.Errorf("line %d: our protobuf is %v in the SDK, want %v", line, got, want)
	}
}
