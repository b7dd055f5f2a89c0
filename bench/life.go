package bench

import (
	"fmt"
	"time"
)

const (
	sys32  = `C:\Windows\System32\`
	posh   = sys32 + `WindowsPowerShell\v1.0\powershell.exe`
	msOff  = `C:\Program Files\Microsoft Office\root\Office16\`
	edge   = `C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe`
	vscode = `C:\Program Files\Microsoft VS Code\Code.exe`
	goRoot = `C:\Program Files\Go\`
)

// begin switches the host on. A host whose sensor came late has its processes already.
func (h *host) begin() {
	h.boots++
	h.up = false
	h.table, h.byName = map[int64]*proc{}, map[string]*proc{}
	h.order, h.freed = nil, nil
	h.boot(!h.agentLate || h.boots > 1)
}

// boot starts what Windows starts, up to the logon screen, then logs somebody on.
func (h *host) boot(seen bool) {
	s := h.script()
	start := func(parent *proc, as, path, cmdline, service string) *proc {
		p := &proc{path: path, cmdline: cmdline, user: as, service: service, habit: habitOf(path)}
		s.do(func() { h.started(p, parent, seen) })
		s.wait(5*time.Millisecond, 250*time.Millisecond)
		return p
	}
	kernel := &proc{pid: 4, path: "System", user: system}
	s.do(func() { h.started(kernel, nil, seen) })
	smss := start(kernel, system, sys32+"smss.exe", `\SystemRoot\System32\smss.exe`, "")
	smss0 := start(smss, system, sys32+"smss.exe", `\SystemRoot\System32\smss.exe 000000dc 00000084`, "")
	csrss := `%SystemRoot%\system32\csrss.exe ObjectDirectory=\Windows SharedSection=1024,20480,768 Windows=On SubSystemType=Windows`
	start(smss0, system, sys32+"csrss.exe", csrss, "")
	wininit := start(smss0, system, sys32+"wininit.exe", "wininit.exe", "")
	s.do(func() { h.ended(smss0, 0) })
	smss1 := start(smss, system, sys32+"smss.exe", `\SystemRoot\System32\smss.exe 000000e8 00000084`, "")
	start(smss1, system, sys32+"csrss.exe", csrss, "")
	winlogon := start(smss1, system, sys32+"winlogon.exe", "winlogon.exe", "")
	s.do(func() { h.ended(smss1, 0) })
	scm := start(wininit, system, sys32+"services.exe", sys32+"services.exe", "")
	start(wininit, system, sys32+"lsass.exe", sys32+"lsass.exe", "")
	start(winlogon, `Window Manager\DWM-1`, sys32+"dwm.exe", `"dwm.exe"`, "")
	for _, group := range []struct{ name, user, args string }{
		{"DcomLaunch", system, "-k DcomLaunch -p"},
		{"RpcEptMapper", `NT AUTHORITY\NETWORK SERVICE`, "-k RPCSS -p"},
		{"LSM", system, "-k DcomLaunch -p -s LSM"},
		{"EventLog", `NT AUTHORITY\LOCAL SERVICE`, "-k LocalServiceNetworkRestricted -p -s EventLog"},
		{"gpsvc", system, "-k netsvcs -p -s gpsvc"},
		{"Schedule", system, "-k netsvcs -p -s Schedule"},
		{"Winmgmt", system, "-k netsvcs -p -s Winmgmt"},
		{"Dhcp", `NT AUTHORITY\LOCAL SERVICE`, "-k LocalServiceNetworkRestricted -p -s Dhcp"},
		{"Dnscache", `NT AUTHORITY\NETWORK SERVICE`, "-k NetworkService -p -s Dnscache"},
		{"BFE", `NT AUTHORITY\LOCAL SERVICE`, "-k LocalServiceNoNetworkFirewall -p"},
		{"wuauserv", system, "-k netsvcs -p -s wuauserv"},
		{"AppInfo", system, "-k netsvcs -p -s Appinfo"},
		{"WinRM", `NT AUTHORITY\NETWORK SERVICE`, "-k NetworkService -p -s WinRM"},
	} {
		start(scm, group.user, sys32+"svchost.exe", sys32+"svchost.exe "+group.args, group.name)
	}
	start(scm, system, sys32+"spoolsv.exe", sys32+"spoolsv.exe", "")
	start(scm, system, `C:\ProgramData\Microsoft\Windows Defender\Platform\4.18.25110.5-0\MsMpEng.exe`, `"MsMpEng.exe"`, "")
	start(scm, system, sys32+"SearchIndexer.exe", sys32+"SearchIndexer.exe /Embedding", "")
	switch h.role {
	case webServer:
		was := start(scm, system, sys32+"svchost.exe", sys32+"svchost.exe -k iissvcs", "W3SVC")
		start(was, `IIS APPPOOL\shop`, sys32+`inetsrv\w3wp.exe`, `c:\windows\system32\inetsrv\w3wp.exe -ap "shop" -v "v4.0" -l "webengine4.dll" -a \\.\pipe\iisipm4f0c`, "")
	case sqlServer:
		start(scm, `NT SERVICE\MSSQLSERVER`, `C:\Program Files\Microsoft SQL Server\MSSQL16.MSSQLSERVER\MSSQL\Binn\sqlservr.exe`, `"C:\Program Files\Microsoft SQL Server\MSSQL16.MSSQLSERVER\MSSQL\Binn\sqlservr.exe" -sMSSQLSERVER`, "")
		start(scm, `NT SERVICE\SQLSERVERAGENT`, `C:\Program Files\Microsoft SQL Server\MSSQL16.MSSQLSERVER\MSSQL\Binn\SQLAGENT.EXE`, `"SQLAGENT.EXE" -i MSSQLSERVER`, "")
	case controller:
		start(scm, system, sys32+"dns.exe", sys32+"dns.exe", "")
		start(scm, system, sys32+"dfsrs.exe", sys32+"DFSRs.exe", "")
	}
	s.wait(500*time.Millisecond, 4*time.Second)
	userinit := start(winlogon, h.user.name, sys32+"userinit.exe", sys32+"userinit.exe", "")
	explorer := start(userinit, h.user.name, `C:\Windows\explorer.exe`, `C:\Windows\Explorer.EXE`, "")
	s.wait(time.Second, 3*time.Second)
	s.do(func() {
		h.ended(userinit, 0)
		h.up = true
		h.live()
	})
	if h.role != controller {
		start(explorer, h.user.name, `C:\Users\`+h.user.login+`\AppData\Local\Microsoft\OneDrive\OneDrive.exe`, `"OneDrive.exe" /background`, "")
	}
}

// live plans everything that goes on while the host is up; each routine plans its own next turn.
func (h *host) live() {
	h.every(1400*time.Millisecond, h.background)
	h.every(9*time.Second, h.housekeeping)
	h.every(4*time.Minute, h.update)
	h.every(90*time.Second, h.scheduledJob)
	switch h.role {
	case office:
		h.every(25*time.Second, h.officeWork)
	case developer:
		h.every(14*time.Second, h.developerWork)
	default:
		h.every(40*time.Second, h.administration)
	}
	if h.restarts && h.boots == 1 {
		s := h.script()
		s.wait(2*time.Minute, 4*time.Minute)
		s.do(h.begin)
	}
}

// every plans f again and again, at random intervals with the given mean.
func (h *host) every(mean time.Duration, f func(s *script)) {
	h.sim.plan(h.sim.now.Add(time.Millisecond+h.rng.wait(mean)), h, "", func() {
		f(h.script())
		h.every(mean, f)
	})
}

// background is a burst of what some running program does.
func (h *host) background(s *script) {
	if len(h.order) == 0 {
		return
	}
	s.noise(pick(h.rng, h.order), 2+h.rng.intn(16))
}

// housekeeping is what Windows starts and ends all the time.
func (h *host) housekeeping(s *script) {
	switch h.rng.intn(7) {
	case 0:
		p := s.execAs("DcomLaunch", h.user.name, sys32+"dllhost.exe", sys32+`DllHost.exe /Processid:{AB8902B4-09CA-4BB6-B78D-A8F59079A8D5}`)
		s.wait(time.Second, 6*time.Second).exit(p)
	case 1:
		p := s.execAs("DcomLaunch", h.user.name, sys32+"RuntimeBroker.exe", sys32+"RuntimeBroker.exe -Embedding")
		s.wait(2*time.Second, 20*time.Second).exit(p)
	case 2:
		p := s.execAs("DcomLaunch", `NT AUTHORITY\NETWORK SERVICE`, sys32+`wbem\WmiPrvSE.exe`, sys32+`wbem\wmiprvse.exe -secured -Embedding`)
		s.noise(p, 4)
		s.wait(3*time.Second, 60*time.Second).exit(p)
	case 3:
		p := s.execAs("Schedule", h.user.name, sys32+"taskhostw.exe", "taskhostw.exe "+pick(h.rng, []string{"SYSTEM", "KEYROAMING", "Install $(Arg0)", "{222A245B-E637-4AE9-A93F-A59CA119A75E}"}))
		s.noise(p, 3)
		s.wait(time.Second, 30*time.Second).exit(p)
	case 4:
		p := s.exec("searchindexer.exe", sys32+"SearchProtocolHost.exe", fmt.Sprintf(`"%sSearchProtocolHost.exe" Global\UsGthrFltPipeMssGthrPipe%d_ Global\UsGthrCtrlFltPipeMssGthrPipe%d 1 -2147483646`, sys32, h.rng.intn(90), h.rng.intn(90)))
		q := s.exec("searchindexer.exe", sys32+"SearchFilterHost.exe", fmt.Sprintf(`"%sSearchFilterHost.exe" 0 8%02d 812 820 8192 816`, sys32, h.rng.intn(100)))
		s.wait(5*time.Second, 40*time.Second).exit(p, q)
	case 5:
		p := s.execAs("AppInfo", h.user.name, sys32+"consent.exe", fmt.Sprintf("consent.exe %d 288 0000023C", h.rng.intn(9000)))
		s.wait(time.Second, 4*time.Second)
		s.exitWith(p, int64(h.rng.intn(2)))
	default:
		p := s.execAs("DcomLaunch", h.user.name, sys32+"backgroundTaskHost.exe", `"`+sys32+`backgroundTaskHost.exe" -ServerName:CortanaUI.AppX`)
		s.wait(time.Second, 8*time.Second)
		s.exitWith(p, pick(h.rng, []int64{0, 0, 0, 1, 0x40010004}))
	}
}

// update is servicing: Windows Update, an installer, or a program's own updater.
func (h *host) update(s *script) {
	switch h.rng.intn(3) {
	case 0:
		c := s.execAs("Schedule", system, sys32+"UsoClient.exe", "UsoClient.exe StartScan")
		w := s.exec("wuauserv", sys32+"wuauclt.exe", `"`+sys32+`wuauclt.exe" /UpdateDeploymentProvider UpdateDeploymentProvider.dll /ClassId 9ab7 /RunHandlerComServer`)
		t := s.execAs("services.exe", system, `C:\Windows\servicing\TrustedInstaller.exe`, `C:\Windows\servicing\TrustedInstaller.exe`)
		k := s.execAs("DcomLaunch", system, `C:\Windows\WinSxS\amd64_microsoft-windows-servicingstack_31bf3856ad364e35_10.0.26100.1\TiWorker.exe`, `TiWorker.exe -Embedding`)
		s.exit(c)
		for range 4 + h.rng.intn(6) {
			s.noise(k, 20)
			s.wait(300*time.Millisecond, 3*time.Second)
		}
		s.exit(k, w, t)
	case 1:
		m := s.execAs("services.exe", system, sys32+"msiexec.exe", sys32+"msiexec.exe /V")
		s.noise(m, 25)
		c := s.exec(m, sys32+"msiexec.exe", fmt.Sprintf(sys32+"MsiExec.exe -Embedding %08X%08X", uint32(h.rng.next()), uint32(h.rng.next())))
		r := s.exec(c, sys32+"rundll32.exe", fmt.Sprintf(`rundll32.exe "C:\Windows\Installer\MSI%04X.tmp",zzzzInvokeManagedCustomActionOutOfProc SfxCA_%d 2 Vendor.Setup!Vendor.Setup.Actions.Register`, h.rng.intn(1<<16), h.rng.intn(1<<20)))
		s.noise(m, 40)
		s.wait(time.Second, 5*time.Second).exit(r, c, m)
	default:
		u := s.execAs("Schedule", system, `C:\Program Files (x86)\Microsoft\EdgeUpdate\MicrosoftEdgeUpdate.exe`, `"C:\Program Files (x86)\Microsoft\EdgeUpdate\MicrosoftEdgeUpdate.exe" /ua /installsource scheduler`)
		s.registry("set_key_value", u, `HKLM\SOFTWARE\WOW6432Node\Microsoft\EdgeUpdate\ClientState\{56EB18F8-B008-4CBD-B6D2-8C97FE7E9062}`, "LastCheckSuccess")
		s.wait(2*time.Second, 9*time.Second).exit(u)
	}
}

// scheduledJob is a task of the company's own.
func (h *host) scheduledJob(s *script) {
	switch h.role {
	case sqlServer:
		c := s.execAs("sqlagent.exe", `NT SERVICE\SQLSERVERAGENT`, sys32+"cmd.exe", `cmd.exe /c "D:\Jobs\nightly.cmd"`)
		s.run(c, `C:\Program Files\Microsoft SQL Server\Client SDK\ODBC\170\Tools\Binn\SQLCMD.EXE`, `sqlcmd -S . -i D:\Jobs\reindex.sql`)
		s.run(c, sys32+"Robocopy.exe", `robocopy F:\Backup \\nas01\sql /MIR /R:1`)
		s.exit(c)
	case webServer:
		c := s.execAs("Schedule", system, posh, `powershell.exe -NoProfile -ExecutionPolicy RemoteSigned -File D:\Jobs\rotate-logs.ps1`)
		s.file("rename", c, `C:\inetpub\logs\LogFiles\W3SVC1\u_ex260104.log`)
		s.wait(time.Second, 4*time.Second).exit(c)
	default:
		c := s.execAs("Schedule", system, sys32+"cmd.exe", `cmd.exe /c \\corp.example\netlogon\inventory.cmd`)
		s.run(c, sys32+`wbem\WMIC.exe`, "wmic os get caption,version /format:csv")
		s.run(c, sys32+"ipconfig.exe", "ipconfig /all")
		s.exit(c)
	}
}

// administration is what people do on servers. Some of it looks like an attack, as it does everywhere.
func (h *host) administration(s *script) {
	switch h.rng.intn(8) {
	case 0, 1:
		m := s.exec("explorer.exe", sys32+"mmc.exe", `"`+sys32+`mmc.exe" "`+sys32+`services.msc"`)
		s.noise(m, 3)
		s.wait(10*time.Second, 50*time.Second).exit(m)
	case 2, 3:
		p := s.exec("explorer.exe", posh, `"`+posh+`"`)
		c := s.exec(p, sys32+"conhost.exe", `\??\`+sys32+`conhost.exe 0xffffffff -ForceV1`)
		s.wait(2*time.Second, 9*time.Second)
		s.run(p, sys32+"netstat.exe", "netstat -ano")
		s.wait(2*time.Second, 9*time.Second)
		s.run(p, sys32+"sc.exe", "sc query state= all")
		s.exit(p, c)
	case 4:
		// A configuration tool that works over PowerShell remoting.
		w := s.execAs("DcomLaunch", h.user.name, sys32+"wsmprovhost.exe", sys32+"wsmprovhost.exe -Embedding")
		p := s.exec(w, posh, `"`+posh+`" -NoProfile -NonInteractive -ExecutionPolicy Unrestricted -EncodedCommand UABvAHcAZQByAFMAaABlAGwAbAAgAC0ATgBvAFAAcgBvAGYAaQBsAGUA`)
		s.wait(time.Second, 5*time.Second)
		s.exit(p, w)
	case 5:
		c := s.exec("explorer.exe", sys32+"cmd.exe", `"`+sys32+`cmd.exe"`)
		s.run(c, sys32+"net.exe", "net view /all /domain")
		s.wait(2*time.Second, 9*time.Second).exit(c)
	default:
		p := s.exec("explorer.exe", sys32+"Taskmgr.exe", `"`+sys32+`Taskmgr.exe" /4`)
		s.wait(5*time.Second, 30*time.Second).exit(p)
	}
}
