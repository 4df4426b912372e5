# ---- what the steps use ----

$ErrorActionPreference = 'Stop'
$env:WSL_UTF8 = '1' # else wsl.exe writes UTF-16

function Write-Step {
    param([string]$Text)
    Write-Host "...   $Text"
}

function Stop-Here {
    param([string]$Text)
    Write-Error $Text -ErrorAction Continue
    exit 1
}

function Get-WslVersion {
    # $null for the WSL that is part of Windows, which knows no --version
    $lines = & wsl.exe --version 2>$null
    if ($LASTEXITCODE -ne 0) { return $null }
    $found = $lines | Select-String -Pattern '^WSL[^:]*:\s*([0-9.]+)' | Select-Object -First 1
    if ($null -eq $found) { return $null }
    return [version]$found.Matches[0].Groups[1].Value
}

function Get-Distributions {
    $lines = & wsl.exe --list --quiet 2>$null
    if ($LASTEXITCODE -ne 0) { return @() }
    return @($lines | ForEach-Object { $_.Trim() } | Where-Object { $_ -ne '' })
}

function Get-NvidiaDriver {
    # Windows calls 536.23 "31.0.15.3623": the last five digits
    $card = Get-CimInstance -ClassName Win32_VideoController |
        Where-Object { $_.PNPDeviceID -like 'PCI\VEN_10DE*' } | Select-Object -First 1
    if ($null -eq $card) { return $null }
    $digits = ($card.DriverVersion -replace '\.', '')
    $digits = $digits.Substring($digits.Length - 5)
    return [version]($digits.Substring(0, 3) + '.' + $digits.Substring(3))
}

function Invoke-Wsl {
    param([string[]]$Words)
    & wsl.exe @Words
    if ($LASTEXITCODE -ne 0) { Stop-Here "wsl $($Words -join ' ') ended with $LASTEXITCODE" }
}

# ---- 1. Windows, and its driver ----

$build = [System.Environment]::OSVersion.Version
if ($build -lt $LeastWindows) {
    Stop-Here "Windows is $build; GPUs in WSL need $LeastWindows or newer. Run Windows Update."
}
Write-Host "done  Windows $build"

$driver = Get-NvidiaDriver
if ($null -eq $driver) {
    Write-Warning 'No NVIDIA card is seen in Windows. Containers will run, without GPUs.'
} elseif ($driver -lt $LeastDriver) {
    Stop-Here "NVIDIA's driver is $driver; WSL needs $LeastDriver or newer. Install it in Windows, never in WSL."
} else {
    Write-Host "done  NVIDIA's driver $driver"
}

# ---- 2. a distribution from a file, or one to a file ----

if ($Export -ne '') {
    Write-Step "Export $Distribution to $Export"
    if ($PSCmdlet.ShouldProcess($Distribution, "export to $Export")) {
        Invoke-Wsl @('--terminate', $Distribution)
        Invoke-Wsl @('--export', $Distribution, $Export)
    }
    exit 0
}

# ---- 3. WSL and its kernel ----

$wsl = Get-WslVersion
if ($null -eq $wsl -or $wsl -lt $LeastWsl) {
    Write-Step 'Install or update WSL and its kernel'
    if ($PSCmdlet.ShouldProcess('WSL', 'install or update')) {
        & wsl.exe --update
        if ($LASTEXITCODE -ne 0) {
            & wsl.exe --install --no-distribution
            Write-Host 'Restart Windows now, then run this again: it goes on where it was.'
            exit 75
        }
    }
} else {
    Write-Host "done  WSL $wsl"
}

# ---- 4. the distribution, on WSL 2 ----

if ((Get-Distributions) -contains $Distribution) {
    Write-Host "done  $Distribution is there"
} elseif ($Import -ne '') {
    Write-Step "Import $Distribution from $Import into $Location"
    if ($Location -eq '') { Stop-Here '-Import needs -Location: the folder that the distribution will live in' }
    if ($PSCmdlet.ShouldProcess($Distribution, "import from $Import")) {
        Invoke-Wsl @('--import', $Distribution, $Location, $Import, '--version', '2')
    }
} else {
    Write-Step "Install $Distribution"
    if ($PSCmdlet.ShouldProcess($Distribution, 'install')) {
        Invoke-Wsl @('--install', '--distribution', $Distribution, '--no-launch')
    }
}

if ($PSCmdlet.ShouldProcess($Distribution, 'use WSL 2')) {
    & wsl.exe --set-version $Distribution 2 | Out-Null # says so, and fails, when it is already
    $kernel = (& wsl.exe --distribution $Distribution --user root --exec uname -r).Trim()
    if ($kernel -notmatch 'WSL2|microsoft-standard') { Stop-Here "$Distribution runs on WSL 1: kernel $kernel" }
    $number = [version](($kernel -split '-')[0])
    if ($number -lt $LeastKernel) {
        Stop-Here "WSL's kernel is $number; CUDA needs $LeastKernel or newer: wsl --update, then wsl --shutdown"
    }
    Write-Host "done  kernel $kernel"
}

# ---- 5. the Linux side ----

$LinuxPlan = @'
THE-LINUX-PLAN
'@

if ($PSCmdlet.ShouldProcess($Distribution, 'run the Linux side of the plan')) {
    $file = Join-Path ([System.IO.Path]::GetTempPath()) 'gpudock-install.sh'
    [System.IO.File]::WriteAllText($file, $LinuxPlan.Replace("`r`n", "`n") + "`n")
    $inside = (& wsl.exe --distribution $Distribution --user root --exec wslpath -a $file.Replace('\', '/')).Trim()
    & wsl.exe --distribution $Distribution --user root --exec sh $inside run
    $code = $LASTEXITCODE
    Remove-Item -LiteralPath $file
    if ($code -ne 0) { Stop-Here "the Linux side ended with $code; what it said stands above" }
}
Write-Host 'all done'
