package workflows

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/edri-io/edri/event"
)

// What a cluster would refuse is refused here already, where the code can be told: an
// advance that is refused as a whole blocks the run.
const (
	// maxPayload is what an input or a result may have: it becomes the data of an event
	// with some more.
	maxPayload = event.MaxDataBytes - 4096
	// maxMemo and maxAttributes are what a run that continues as new may take along, so that
	// there is room for its input.
	maxMemo       = 32 << 10
	maxAttributes = 32 << 10
	// maxMessage and maxDetails are what an error keeps of its message and details.
	maxMessage = 16 << 10
	maxDetails = 256 << 10
	// maxRunID leaves room for what is before it in the name of its stream.
	maxRunID = 200
	// maxNote is the longest text for people.
	maxNote = 8 << 10

	minRequestTimeout = time.Millisecond
	maxRequestTimeout = 30 * 24 * time.Hour
	maxTimer          = 100 * 365 * 24 * time.Hour
)

// note returns what a note may hold of a text: one line of so many bytes.
func note(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	return cut(s, maxNote)
}

// cut returns valid UTF-8 of at most n bytes.
func cut(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// checkRoom says what of a start a cluster would refuse as too large.
func (s *Start) checkRoom() error {
	var attributes []byte
	if len(s.Attributes) > 0 {
		var err error
		if attributes, err = encode("attributes of workflow "+s.Type, s.Attributes); err != nil {
			return err
		}
	}
	switch size := len(s.Input) + len(s.Memo) + len(attributes); {
	case len(s.Memo) > maxMemo:
		return tooLarge("memo of workflow "+s.Type, len(s.Memo), maxMemo)
	case len(attributes) > maxAttributes:
		return tooLarge("attributes of workflow "+s.Type, len(attributes), maxAttributes)
	case size > maxPayload:
		return tooLarge("input, memo and attributes of workflow "+s.Type, size, maxPayload)
	}
	return nil
}

// bounded returns an error that an event has room for.
func (e *Error) bounded() *Error {
	if e == nil || len(e.Type) <= event.MaxNameBytes && len(e.Message) <= maxMessage && len(e.Details) <= maxDetails {
		return e
	}
	made := *e
	made.Type, made.Message = cut(e.Type, event.MaxNameBytes), cut(e.Message, maxMessage)
	if len(e.Details) > maxDetails {
		made.Details = nil
	}
	return &made
}
