package managers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/edri-io/edri/event"
)

// effects returns what an ack asks for. Its events need neither specversion, id nor
// source, which the manager gives them.
func (a *workerAck) effects(o origin) (Effects, error) {
	var e Effects
	for i, w := range a.Append {
		decoded, err := decodeEffect(w.Event, o, fmt.Sprint(i), "")
		if err != nil {
			return e, fmt.Errorf("effect %d: %w", i, err)
		}
		e.Appends = append(e.Appends, Append{Stream: w.Stream, Expected: w.Expected.orAny(), Event: decoded})
	}
	if err := a.keyEffects(&e); err != nil {
		return e, err
	}
	if len(a.Respond) > 0 && string(a.Respond) != "null" {
		decoded, err := decodeEffect(a.Respond, o, responseIndex, o.responseType())
		if err != nil {
			return e, fmt.Errorf("response: %w", err)
		}
		e.Response = &decoded
	}
	return e, nil
}

func decodeEffect(raw json.RawMessage, o origin, index, typ string) (event.Event, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return event.Event{}, event.Errorf(event.CodeInvalid, "event: is not a JSON object")
	}
	var whole strings.Builder
	separator := byte('{')
	for _, d := range [][2]string{{"specversion", "1.0"}, {"id", o.id(index)}, {"source", o.source}, {"type", typ}} {
		if _, ok := members[d[0]]; ok || d[1] == "" {
			continue
		}
		value, err := json.Marshal(d[1])
		if err != nil {
			return event.Event{}, err
		}
		fmt.Fprintf(&whole, `%c"%s":%s`, separator, d[0], value)
		separator = ','
	}
	// What the worker wrote is taken over as it is, numbers with all their digits.
	rest := bytes.TrimLeft(raw, " \t\r\n")[1:]
	if len(members) > 0 {
		whole.WriteByte(separator)
	}
	whole.Write(rest)
	return event.DecodeJSON([]byte(whole.String()))
}
