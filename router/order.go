package router

import (
	"bytes"
	"encoding/json"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
)

// orderKey reads an event's ordering key.
type orderKey struct {
	attribute string   // partitionkey, stream or subject
	pointer   []string // into the data, where attribute is empty; nil: there is no order
}

func parseOrderKey(s string) orderKey {
	if !strings.HasPrefix(s, "/") {
		return orderKey{attribute: s}
	}
	parts := strings.Split(s[1:], "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(p, "~1", "/"), "~0", "~")
	}
	return orderKey{pointer: parts}
}

// hash returns 8 bytes for the event's key, 0 if it has none. Two keys with the same
// hash wait for each other, which is harmless.
func (k orderKey) hash(r *log.Record, h *event.Header) uint64 {
	key := k.of(r, h)
	if len(key) == 0 {
		return 0
	}
	f := fnv.New64a()
	_, _ = f.Write(key) // never fails
	return max(f.Sum64(), 1)
}

func (k orderKey) of(r *log.Record, h *event.Header) []byte {
	switch k.attribute {
	case event.OrderByPartitionKey:
		return h.PartitionKey
	case event.OrderByStream:
		return []byte(r.Stream)
	case event.OrderBySubject:
		return h.Subject
	}
	if k.pointer == nil {
		return nil
	}
	return atPointer(h.Data, k.pointer)
}

// atPointer returns the JSON value that a pointer leads to, a string without its quotes and
// escapes, all else as it is written; nil where it leads nowhere. Of a name that stands twice the last holds, as
// for most readers of JSON.
func atPointer(data []byte, pointer []string) []byte {
	for _, name := range pointer {
		data = bytes.TrimLeft(data, " \t\r\n")
		if len(data) == 0 {
			return nil
		}
		switch data[0] {
		case '{':
			var object map[string]json.RawMessage
			if json.Unmarshal(data, &object) != nil {
				return nil
			}
			data = object[name]
		case '[':
			var list []json.RawMessage
			i, err := strconv.Atoi(name)
			if err != nil || json.Unmarshal(data, &list) != nil || i < 0 || i >= len(list) {
				return nil
			}
			data = list[i]
		default:
			return nil
		}
	}
	data = bytes.TrimSpace(data)
	var s string
	if len(data) > 0 && data[0] == '"' && json.Unmarshal(data, &s) == nil {
		return []byte(s)
	}
	if !json.Valid(data) {
		return nil
	}
	return data
}
