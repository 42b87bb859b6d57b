package wasmpack

import (
	"regexp"
	"slices"
	"strings"
)

// omission is a group of functions of the runtime whose code is left out of
// programs for browsers, where nothing can ask for what they do. Of functions
// that call each other all are named.
type omission struct {
	why    string
	unless []string // functions that ask for it, when they are in the program
	quiet  bool     // called nevertheless, and to do nothing, without results; else they stop the program
	names  *regexp.Regexp
}

// Who asks for what, with the names that the linker knows: where package
// runtime pushes a function into another package, that one's.
var (
	traces      = []string{"runtime.StartTrace"}
	cpuProfiles = []string{"runtime.SetCPUProfileRate", "runtime/pprof.readProfile"}
	allocs      = []string{"runtime.MemProfile", "runtime.memProfileInternal"}
	blocking    = []string{"runtime.SetBlockProfileRate", "runtime.SetMutexProfileFraction"}
	goroutines  = []string{"runtime.goroutineProfileWithLabelsConcurrent", "runtime.goroutineProfileWithLabelsSync", "runtime/pprof.runtime_goroutineLeakGC"}
	metrics     = []string{"runtime/metrics.runtime_readMetrics", "runtime/metrics_test.runtime_readMetricNames", "runtime.readMetricsLocked"}
	bubbles     = []string{"internal/synctest.Run"}
)

var omissions = []omission{
	{
		why:    "execution traces are off until a program starts one",
		unless: traces,
		names:  runtimeNames(`traceAdvance(\.func.*)?`, `trace(ReadCPU|StopReadCPU|Stack|BufFlush|RegisterLabels.*|Snapshot.*|SyncBatch)`, `makeTraceFrames?`, `traceLocker\.([A-Z].*|em.*|ev.*)`, `trace(Event)?Writer\..*`, `\(\*trace(StackTable|StringTable|TypeTable|Map|RegionAlloc|Buf)\)\..*`, `startPCForTrace`, `goStatusToTraceGoStatus`),
	},
	{
		why:    "profiles of the processor are off until a program starts one, and execution traces are what else records samples",
		unless: slices.Concat(cpuProfiles, traces),
		names:  runtimeNames(`\(\*profBuf\)\..*`),
	},
	{
		why:    "nothing reads what was allocated where, if a program sets how much of it to record",
		unless: allocs,
		quiet:  true,
		names:  runtimeNames(`mProf_Malloc`),
	},
	{
		why:    "nothing else records what was allocated where",
		unless: slices.Concat(allocs, blocking),
		names:  runtimeNames(`stkbucket`, `setprofilebucket`),
	},
	{
		why:    "goroutines that wait are recorded when a program says how many",
		unless: blocking,
		names:  runtimeNames(`saveblockevent`, `saveBlockEventStack`),
	},
	{
		why:    "goroutines are recorded while a profile of them is made",
		unless: goroutines,
		names:  runtimeNames(`(doR|tryR)ecordGoroutineProfile(WB|\.func.*)?`, `saveg`, `find(MaybeRunnable)?Goroutine(Leak)?s`, `\(\*g\)\.isMaybeRunnable`),
	},
	{
		why:    "bubbles of goroutines are for tests",
		unless: bubbles,
		names:  runtimeNames(`getOrSetBubbleSpecial`, `\(\*synctestBubble\)\..*`),
	},
	{
		why:    "what settings of GODEBUG changed is counted for metrics, which nothing reads",
		unless: metrics,
		quiet:  true,
		names:  regexp.MustCompile(`^internal/godebug\.registerMetric$`),
	},
	{
		why:    "nothing reads metrics",
		unless: metrics,
		names:  runtimeNames(`initMetrics(\.func.*)?`, `\(\*timeHistogram\)\.write`, `timeHistogramMetricsBuckets`, `\(\*metricValue\).*`),
	},
	{
		why:   "GODEBUG asks for them: schedtrace, scavtrace, gctrace=2, gccheckmark, checkfinalizers, tracebackancestors",
		quiet: true,
		names: runtimeNames(`schedtrace`, `printScavTrace`, `dumpScanStats`, `runCheckmark`, `checkFinalizersAndCleanups`, `printAncestorTraceback`),
	},
	{
		why:   "only those call them",
		names: runtimeNames(`schedtrace\.func.*`, `setCheckmark`, `startCheckmarks.*`, `checkFinalizersAndCleanups\.func.*`, `printAncestorTracebackFuncInfo`),
	},
	{
		why:   "they print memory before the program is ended for damage to it; the message of what is damaged follows",
		quiet: true,
		names: runtimeNames(`gcDumpObject`, `hexdumpWords`, `dumpgstatus`),
	},
	{
		why:   "they check the compiler, the linker and the machine when a program starts; and there are no plugins, whose types were to be found",
		quiet: true,
		names: runtimeNames(`check`, `moduledataverify1`, `typelinksinit`),
	},
	{
		why:   "GODEBUG asks for it, to find which change of a release matters: a setting with a # in it",
		names: regexp.MustCompile(`^internal/bisect\.`),
	},
	{
		why:   "there are neither C nor plugins",
		names: runtimeNames(`typesEqual`, `cgocall`, `cgoContextPCs`, `callCgoSymbolizer`, `newextram`, `oneNewExtraM`, `lockextra`, `print(One)?CgoTraceback`, `expandCgoFrames`),
	},
}

// runtimeNames matches functions of package runtime.
func runtimeNames(patterns ...string) *regexp.Regexp {
	return regexp.MustCompile(`^runtime\.(` + strings.Join(patterns, "|") + `)$`)
}

// omitted returns what functions become that are left out, by number. What is
// mentioned are they and those that are in others, where the compiler put them.
func omitted(names []string, mentioned map[string]bool) map[int][]byte {
	out := map[int][]byte{}
	for _, o := range omissions {
		if slices.ContainsFunc(o.unless, func(name string) bool { return mentioned[name] }) {
			continue
		}
		code := []instruction{{op: opUnreachable}, {op: opEnd}}
		if o.quiet { // it takes its return address off the stack
			code = []instruction{
				{op: opGlobalGet, value: globalSP}, {op: opI32Const, value: 8}, {op: opI32Add}, {op: opGlobalSet, value: globalSP},
				{op: opI32Const}, {op: opEnd},
			}
		}
		body, err := (&function{code: code}).append(nil)
		if err != nil {
			panic(err) // the code above is what it is
		}
		for k, name := range names {
			if o.names.MatchString(name) {
				out[k] = body
			}
		}
	}
	return out
}
