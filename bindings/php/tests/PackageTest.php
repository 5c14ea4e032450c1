<?php

declare(strict_types=1);

namespace Pusherc\Tests;

/** The package as Composer sees it, and the source as the tools of Debian see it. */
final class PackageTest extends TestCase
{
    private const TOP = __DIR__ . '/..';
    private string $work;

    protected function setUp(): void
    {
        $this->work = sys_get_temp_dir() . '/pusherc-package-' . getmypid();
        mkdir($this->work);
    }

    protected function tearDown(): void
    {
        exec('rm -rf ' . escapeshellarg($this->work));
        parent::tearDown();
    }

    public function testComposerFindsNothingWrong(): void
    {
        $this->shell('composer validate --strict --no-interaction', self::TOP);
    }

    public function testTheArchiveInstallsAndRuns(): void
    {
        $this->shell('composer archive --format=zip --dir=' . escapeshellarg($this->work) . ' --file=package --no-interaction', self::TOP);
        $zip = new \ZipArchive();
        $this->assertTrue($zip->open("$this->work/package.zip"));
        for ($i = 0, $names = []; $i < $zip->numFiles; $i++) {
            $names[] = $zip->getNameIndex($i);
        }
        $this->assertContains('ffi/pusherc.h', $names);
        $this->assertSame([], preg_grep('#^(tests|vendor|generate|phpunit)#', $names), 'what is for developers stays at home');
        // A registry takes the version from the tag.
        $zip->addFromString('composer.json', json_encode(['version' => '0.1.0'] + json_decode($zip->getFromName('composer.json'), true)));
        $zip->close();
        mkdir("$this->work/app");
        file_put_contents("$this->work/app/composer.json", json_encode([
            'repositories' => [['type' => 'artifact', 'url' => $this->work], ['packagist' => false]],
            'require' => ['pusherc/pusherc' => '^0.1'],
        ]));
        $this->shell('composer install --no-interaction --no-progress', "$this->work/app");
        file_put_contents("$this->work/app/run.php", '<?php require "vendor/autoload.php"; $server = new Pusherc\Server([new Pusherc\App("a", "k", "s")],'
            . ' logLevel: null); $server->listen()->start(); $server->publish("a", "e"); echo $server->port() > 0 ? "runs" : "";');
        $this->assertSame('runs', $this->shell(escapeshellarg(PHP_BINARY) . ' run.php', "$this->work/app"));
    }

    public function testEveryFileParses(): void
    {
        foreach (glob(self::TOP . '/{src,src/*,tests}/*.php', GLOB_BRACE) as $file) {
            $this->shell(escapeshellarg(PHP_BINARY) . ' -l ' . escapeshellarg($file), self::TOP);
        }
        $this->addToAssertionCount(1);
    }

    public function testTheStyleIsKept(): void
    {
        if (\trim((string) shell_exec('command -v phpcs')) === '') {
            $this->markTestSkipped('no php-codesniffer');
        }
        $this->shell('phpcs', self::TOP);
        $this->addToAssertionCount(1);
    }

    /** What a tool for types would say first: everything public has types and a word on what it is. */
    public function testWhatIsPublicHasTypes(): void
    {
        $missing = [];
        foreach (glob(self::TOP . '/src/*.php') as $file) {
            $class = new \ReflectionClass('Pusherc\\' . basename($file, '.php'));
            $class->getDocComment() || $missing[] = $class->name;
            foreach ($class->getMethods(\ReflectionMethod::IS_PUBLIC) as $method) {
                if (!str_starts_with($method->class, 'Pusherc\\') || str_contains((string) $method->getDocComment(), '@internal')) {
                    continue;
                }
                foreach ($method->getParameters() as $parameter) {
                    $parameter->hasType() || $missing[] = "$method->class::$method->name($$parameter->name)";
                }
                $typed = $method->isConstructor() || $method->isDestructor() || $method->hasReturnType()
                    || str_contains((string) $method->getDocComment(), '@return') || $method->name === '__clone';
                $typed || $missing[] = "$method->class::$method->name()";
            }
            foreach ($class->getProperties() as $property) {
                $property->class !== $class->name || $property->hasType() || str_contains((string) $property->getDocComment(), '@var') || $missing[] = "$class->name::$$property->name";
            }
        }
        $this->assertSame([], $missing);
    }

    private function shell(string $command, string $folder): string
    {
        $environment = "COMPOSER_HOME=$this->work/home COMPOSER_ALLOW_SUPERUSER=1 COMPOSER_DISABLE_NETWORK=1 COMPOSER_ROOT_VERSION=0.1.0";
        exec('cd ' . escapeshellarg($folder) . " && $environment timeout 120 $command 2>&1", $output, $status);
        $this->assertSame(0, $status, "$command:\n" . implode("\n", $output));
        return implode("\n", $output);
    }
}
