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

// check says what of the start of a child a cluster would refuse.
func (s *Start) check() error {
	if err := checkRunID(s.ID); err != nil {
		return err
	}
	err := event.CheckName("type of a child", s.Type)
	if err == nil {
		err = event.CheckName("source of the events of a child", sourceOf(s.Type))
	}
	switch {
	case err != nil:
		return refusal(err)
	case !s.Reuse.known():
		return invalid("reuse of child %s: there is no policy %q", s.ID, s.Reuse)
	case !s.Conflict.known():
		return invalid("conflict of child %s: there is no policy %q", s.ID, s.Conflict)
	case s.Delay < 0 || s.Delay > maxTimer:
		return invalid("delay of child %s: %v is not within 0 and 100 years", s.ID, s.Delay)
	case s.Timeout < 0 || s.Timeout > maxTimer:
		return invalid("timeout of child %s: %v is not within 0 and 100 years", s.ID, s.Timeout)
	}
	return s.checkRoom()
}

func checkRunID(id string) error {
	err := event.CheckName("id of a child", id)
	if err == nil && len(id) > maxRunID {
		err = event.TooLarge("id of a child in bytes", int64(len(id)), maxRunID)
	}
	if err != nil {
		return refusal(err)
	}
	return nil
}

func (p ReusePolicy) known() bool {
	return p == "" || p == ReuseAlways || p == ReuseIfFailed || p == ReuseNever
}

func (p ConflictPolicy) known() bool {
	return p == "" || p == ConflictFail || p == ConflictUse || p == ConflictTerminate
}

func (p ClosePolicy) known() bool {
	return p == CloseTerminate || p == CloseCancel || p == CloseAbandon
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
