package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/integration/guide"
)

// The test of the guide runs blocks that say "sh" and uses files that have a name:
// there are no others, but for what a service manager takes, that it would pass over.
func TestGuideHasNoBlockThatIsPassedOver(t *testing.T) {
	t.Parallel()
	chapters, err := guide.Read(operationsGuide)
	must(t, err)
	ran := 0
	for _, chapter := range chapters {
		named := 0
		for _, b := range chapter.Blocks {
			switch b.Language {
			case "sh", "ini":
			case "yaml":
				named++
			default:
				t.Errorf("%s:%d: a block of %q is neither run nor used", operationsGuide, b.Line, b.Language)
			}
		}
		if files := chapter.Files(); len(files) != named {
			t.Errorf("%s: of %d files %d have a name of their own in their first line", chapter.Title, named, len(files))
		}
		ran += len(chapter.Commands())
	}
	if ran < 90 {
		t.Errorf("the guide has only %d commands: are they found?", ran)
	}
}

var (
	inlineCommand = regexp.MustCompile("`((?:edri|edri-server) [^`]+)`")
	commandWord   = regexp.MustCompile(`^[a-z][a-z-]*$`)
	commandFlag   = regexp.MustCompile(`--[a-z][a-z-]*`)
)

// What is named within the text, and so not run, is a command at least, and has the
// flags with which it is named.
func TestCommandsThatTheGuideNamesExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(operationsGuide)
	must(t, err)
	found := inlineCommand.FindAllStringSubmatch(string(text), -1)
	if len(found) == 0 {
		t.Fatal("no command is named in the text: are they found?")
	}
	for _, match := range found {
		words := strings.Fields(match[1])
		path := words[:1]
		for _, word := range words[1:] {
			if !commandWord.MatchString(word) {
				break
			}
			path = append(path, word)
		}
		help, err := exec.CommandContext(within(t, 10*time.Second), filepath.Join(binaries, path[0]), append(path[1:], "--help")...).CombinedOutput()
		if err != nil || !strings.Contains(string(help), strings.Join(path, " ")+" ") {
			t.Errorf("%q: there is no such command: %v\n%s", match[1], err, help)
		}
		for _, flag := range commandFlag.FindAllString(match[1], -1) {
			if !strings.Contains(string(help), flag+" ") {
				t.Errorf("%q: there is no flag %s", match[1], flag)
			}
		}
	}
}
